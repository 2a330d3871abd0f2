// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: the two passes of one micro-batch through one model chunk on one rank.
#pragma once

#include <vector>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/ops_builder.h"
#include "scenarios/plan.h"
#include "scenarios/workload.h"

namespace lindos {

struct ForwardPass {
  std::vector<Op> ops;
  std::vector<TensorEntry> entries;
};

[[nodiscard]] ForwardPass forward_pass(const Model& model, const GroupPlan& group,
                                       const TrainingWorkload& training, ShardId shard, int chunk);
// The gradient of every op of `forward`, last op first (training_backward.cpp); of weights only when they are
// not frozen.
[[nodiscard]] std::vector<Op> backward_pass(const Model& model, const GroupPlan& group,
                                            const ForwardPass& forward, bool frozen_weights);

// Micro-batch tokens that one context rank works on.
[[nodiscard]] double micro_batch_tokens(const GroupPlan& group, const TrainingWorkload& training);

}  // namespace lindos
