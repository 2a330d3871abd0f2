// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/limits_from_plan.h"

#include <algorithm>

namespace lindos::scheduler {

namespace {

// One block in a hundred stays free when a request enters, so that running ones can grow before
// anyone must be preempted. Small pools keep none: there it would refuse what just fits.
constexpr std::int64_t kWatermarkShare = 100;

}  // namespace

Limits scheduler_limits(const GroupPlan& group, std::int64_t kv_blocks, std::int64_t host_blocks) {
  Limits limits;
  limits.max_batched_tokens = group.limits.max_batched_tokens;
  limits.max_sequences = group.limits.max_sequences;
  limits.prefill_chunk = group.limits.prefill_chunk;
  limits.block_tokens = group.limits.block_tokens;
  limits.prefix_reuse = group.limits.prefix_reuse;
  limits.kv_blocks = kv_blocks;
  limits.host_blocks = host_blocks;
  limits.watermark_blocks = kv_blocks / kWatermarkShare;
  limits.lookahead = steps_in_flight(group) - 1;
  return limits;
}

int steps_in_flight(const GroupPlan& group) {
  return std::max(1, static_cast<int>(group.stages.size()));
}

}  // namespace lindos::scheduler
