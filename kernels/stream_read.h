// SPDX-License-Identifier: Apache-2.0
// The ceiling of every byte-bound op: how fast the pool's members together read memory.
#pragma once

#include <cstddef>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

// Bytes per second of reading `bytes` (choose several times the last-level cache) once, each member its own
// contiguous part with full-width loads; the best of `passes` after one warm-up. Throws std::bad_alloc.
[[nodiscard]] double measure_read_bandwidth(CpuPool& pool, std::size_t bytes, int passes = 7);

}  // namespace lindos::kernels
