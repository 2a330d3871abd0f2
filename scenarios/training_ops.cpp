// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_ops.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "scenarios/shard_shape.h"
#include "scenarios/training_passes.h"
#include "scenarios/training_plan.h"

namespace lindos {

bool is_recomputed(const Op& op, Recompute recompute) {
  if (op.layer < 0 || recompute == Recompute::kNone) return false;
  return recompute == Recompute::kFull || op.kind == OpKind::kBatchedGemm ||
         op.kind == OpKind::kSoftmax || op.kind == OpKind::kDropout;
}

Dtype gemm_dtype(const Op& op, const GroupPlan& group) {
  const bool narrow = bytes_of(group.weight_dtype) < bytes_of(Dtype::kBf16);
  return narrow && op.site == GemmSite::kLmHead ? group.activation_dtype : group.weight_dtype;
}

MicroBatchWork micro_batch_work(const Model& model, const GroupPlan& group,
                                const TrainingWorkload& training, ShardId shard, int chunk) {
  ForwardPass pass = forward_pass(model, group, training, shard, chunk);
  MicroBatchWork work;
  work.backward = backward_pass(model, group, pass, training.frozen_weights);
  std::copy_if(pass.ops.begin(), pass.ops.end(), std::back_inserter(work.recompute),
               [&](const Op& op) { return is_recomputed(op, training.recompute); });
  work.forward = std::move(pass.ops);

  for (const Op& op : work.forward) {
    const Bytes bytes = static_cast<double>(op.count) * op.message_bytes;
    // Dispatch and combine are one op each.
    if (op.kind == OpKind::kAllToAll) work.expert_message += 0.5 * bytes;
    if (op.kind == OpKind::kRingExchange) {
      work.context_message += bytes * (static_cast<double>(op.group - 1) / op.group);
    }
  }
  const StagePlan& stage = group.stages[static_cast<std::size_t>(shard.stage)];
  // Without sequence parallelism all ranks hold the same rows: each sends its part, and the receivers gather
  // them over the scale-up links (Narayanan et al., SC21, section 4.1).
  const auto sharing = static_cast<double>(stage.ranks.size());
  const Bytes rows{micro_batch_tokens(group, training) * static_cast<double>(model.hidden) *
                   bytes_of(group.activation_dtype) / sharing};
  const bool first = shard.stage == 0 && chunk == 0;
  const bool last = static_cast<std::size_t>(shard.stage) + 1 == group.stages.size() &&
                    chunk + 1 == group.training.virtual_stages;
  if (!last) work.forward_message = rows;
  if (!first) work.backward_message = rows;
  return work;
}

Flop model_flop_per_token(const Model& model, std::int64_t sequence) {
  TrainingWorkload one;
  one.sequence = sequence;
  one.global_batch = 1;
  const ForwardPass pass = forward_pass(model, unsharded(model, GroupPlan{}), one, {}, 0);
  return total(pass.ops).flop * (3.0 / static_cast<double>(sequence));
}

Flop model_flop(const Model& model, const TrainingWorkload& training) {
  return model_flop_per_token(model, training.sequence) *
         static_cast<double>(training.sequence * training.global_batch);
}

}  // namespace lindos
