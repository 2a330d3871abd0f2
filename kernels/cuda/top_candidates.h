// SPDX-License-Identifier: Apache-2.0
// The `count` largest of each row of logits, largest first, ties to the lower id: what token choice needs of a vocabulary,
// so that a few kilobytes cross the bus and not the logits. The same answer as kernels::top_candidates for finite logits.
// A block per row, which it reads twice, the second time from L2; five times where many logits are equal or `count` is large.
#pragma once

#include <cstdint>

#include "kernels/cuda/elementwise.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

inline constexpr int kMostCandidates = 1024;

// logits [rows, n] f32 → out [rows, count]; ids are offset by `first_id`. REQUIRES: 1 <= count <= min(n, kMostCandidates).
void top_candidates(const float* logits, std::int64_t rows, std::int64_t n, std::int32_t first_id, int count, Best* out,
                    const Launch& launch);

}  // namespace lindos::kernels::cuda
