// SPDX-License-Identifier: Apache-2.0
// Memory of one rank of a training job, and whether it fits. Counted from the op lists (Op::saved_bytes), so that
// gated FFNs, grouped-query attention and experts need no formula of their own; for a GPT layer the sum is
// s·b·h·(34 + 5·a·s/h) of Korthikanti et al. (arXiv 2205.05198). docs/ops.md lists the rules.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scenarios/capacity.h"
#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"
#include "scenarios/units.h"
#include "scenarios/workload.h"

namespace lindos {

struct TrainingMemory {
  Bytes weights{0};
  Bytes gradients{0};
  Bytes optimizer{0};              // master copy and moments
  Bytes activations{0};            // kept for the backward passes of all micro-batches in flight
  Bytes logits{0};                 // of the micro-batch whose loss is taken, f32
  Bytes working{0};                // gradients of the widest op's tensors; one layer's kept tensors when recomputed
  Bytes communication{0};          // pipeline and collective buffers, gathered parameters of ZeRO-3
  Bytes reserve{0};                // context, workspaces and fragmentation
  std::int64_t in_flight = 0;      // micro-batches, of the stage's first chunk
  [[nodiscard]] Bytes total() const {
    return weights + gradients + optimizer + activations + logits + working + communication + reserve;
  }
};
[[nodiscard]] TrainingMemory training_memory(const Model& model, const GroupPlan& group,
                                             const TrainingWorkload& training, ShardId shard,
                                             std::int64_t copies, std::int64_t micro_batches);

// "weights 12.3, gradients 24.6, …": the parts in GiB.
[[nodiscard]] std::string arithmetic(const TrainingMemory& memory);

// The rank with the least room left.
struct FullestRank {
  ShardId shard;
  TrainingMemory memory;
  Bytes available{0};
};
// `memory` per [stage][rank]. Infeasible names the fullest rank with its arithmetic and, unless they are not asked
// for, the nearest changes that would fit, each alone where one is enough.
enum class WaysOut { kNone, kNearest };
[[nodiscard]] std::variant<FullestRank, Infeasible> fits_in_training(
    const Plan& plan, const GroupPlan& group, const Model& model, const TrainingWorkload& training,
    const std::vector<std::vector<Bytes>>& memory, WaysOut ways_out = WaysOut::kNearest);

}  // namespace lindos
