// SPDX-License-Identifier: Apache-2.0
// The order in which a stage runs its passes: 1F1B, and its interleaved form with v model chunks per
// stage (Narayanan et al., SC21, §2.2). Chunk c of stage s follows chunk c of stage s − 1; chunk c of
// the first stage follows chunk c − 1 of the last.
#pragma once

#include <cstdint>
#include <vector>

namespace lindos::sim {

struct Pass {
  bool backward = false;
  int chunk = 0;
  std::int64_t micro_batch = 0;
  bool operator==(const Pass&) const = default;
};

// All 2 · v · m passes of one stage in execution order. Micro-batches go through the chunks in groups of
// `stages`; with m not a multiple of `stages` the last group is smaller.
// REQUIRES: 0 <= stage < stages, micro_batches >= 1, chunks >= 1.
[[nodiscard]] std::vector<Pass> stage_schedule(int stages, int chunks, std::int64_t micro_batches,
                                               int stage);

}  // namespace lindos::sim
