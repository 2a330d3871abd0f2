// SPDX-License-Identifier: Apache-2.0
#include "sim/training/pipeline_schedule.h"

#include <algorithm>

namespace lindos::sim {

namespace {

// The k-th pass of one direction: groups of `stages` micro-batches, chunk by chunk.
Pass nth(bool backward, std::int64_t k, int stages, int chunks, std::int64_t micro_batches) {
  const std::int64_t per_group = std::int64_t{stages} * chunks;
  const std::int64_t group = k / per_group;
  const std::int64_t first = group * stages;
  const std::int64_t size = std::min<std::int64_t>(stages, micro_batches - first);
  const std::int64_t inside = k - group * per_group;
  const auto chunk = static_cast<int>(inside / size);
  return {backward, backward ? chunks - 1 - chunk : chunk, first + inside % size};
}

}  // namespace

std::vector<Pass> stage_schedule(int stages, int chunks, std::int64_t micro_batches, int stage) {
  const std::int64_t total = micro_batches * chunks;
  // Forward passes before the first backward one.
  std::int64_t warm_up = stages - 1 - stage;
  if (chunks > 1) warm_up = 2 * (stages - 1 - stage) + std::int64_t{chunks - 1} * stages;
  warm_up = std::min(warm_up, total);
  // A ragged last group would ask for chunks in another order than its successors deliver them.
  if (chunks > 1 && micro_batches % stages != 0) warm_up = total;
  std::vector<Pass> passes;
  passes.reserve(static_cast<std::size_t>(2 * total));
  const auto add = [&](bool backward, std::int64_t k) {
    passes.push_back(nth(backward, k, stages, chunks, micro_batches));
  };
  for (std::int64_t k = 0; k < warm_up; ++k) add(false, k);
  for (std::int64_t k = warm_up; k < total; ++k) {
    add(false, k);
    add(true, k - warm_up);
  }
  for (std::int64_t k = total - warm_up; k < total; ++k) add(true, k);
  return passes;
}

}  // namespace lindos::sim
