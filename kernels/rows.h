// SPDX-License-Identifier: Apache-2.0
// Row-wise work divided among the members of a pool; internal to kernels.
#pragma once

#include <cstdint>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

// Below this much data waking the pool costs more than it saves.
inline constexpr std::int64_t kSerialFloats = 8192;

// body(row) for each row, divided among the members when there is enough to do.
template <class Body>
void for_rows(CpuPool& pool, std::int64_t m, std::int64_t width, Body body) {
  if (m * width <= kSerialFloats) {
    for (std::int64_t row = 0; row < m; ++row) body(row);
    return;
  }
  pool.run([&](int member, int threads) {
    const Part part = part_of(m, 1, member, threads);
    for (std::int64_t row = part.begin; row < part.end; ++row) body(row);
  });
}

}  // namespace lindos::kernels
