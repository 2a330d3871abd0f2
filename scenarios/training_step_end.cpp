// SPDX-License-Identifier: Apache-2.0
// Parameters of a rank, and what is done with their gradients after the last micro-batch.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "scenarios/shard_shape.h"
#include "scenarios/training_ops.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

// Rows of the vocabulary that a rank of the first or last stage holds.
double vocabulary_part(const Model& model, const GroupPlan& group, ShardId shard) {
  const RankPlan& rank = group.stages[static_cast<std::size_t>(shard.stage)]
                             .ranks[static_cast<std::size_t>(shard.rank)];
  return static_cast<double>(rank.share.vocab.size()) * static_cast<double>(model.hidden);
}

Op optimizer_op(double parameters, double bytes_per_parameter) {
  Op op;
  op.kind = OpKind::kOptimizer;
  op.n = std::llround(parameters);
  op.activation_bytes = Bytes{parameters * bytes_per_parameter};
  return op;
}

}  // namespace

RankParameters rank_parameters(const Model& model, const GroupPlan& group, ShardId shard) {
  const ShardShape shape = shard_shape(model, group, shard);
  const auto hidden = static_cast<double>(model.hidden);
  const auto expert_ranks = static_cast<double>(group.training.expert_parallel);
  RankParameters held;
  for (int chunk = 0; chunk < group.training.virtual_stages; ++chunk) {
    const Range layers = chunk_layers(group, shard.stage, chunk);
    for (std::int64_t l = layers.begin; l < layers.end; ++l) {
      const LayerParameters p = layer_parameters(model, shape, l);
      held.projections += p.attention + p.ffn;
      held.experts += (p.experts + p.expert_side) / expert_ranks;
      held.side += p.side;
    }
  }
  if (shape.first_stage) {
    held.side += vocabulary_part(model, group, shard);
    if (model.learned_positions) held.side += static_cast<double>(model.max_positions) * hidden;
  }
  if (shape.last_stage) {
    held.side += hidden;  // the final norm
    if (!(shape.first_stage && model.tied_embeddings)) {
      held.side += vocabulary_part(model, group, shard);
    }
  }
  return held;
}

StepEnd step_end(const Model& model, const GroupPlan& group, ShardId shard, std::int64_t copies,
                 std::int64_t micro_batches, bool frozen_weights) {
  if (frozen_weights) return {};
  const TrainingPlan& plan = group.training;
  const ElementBytes bytes = element_bytes(group);
  const RankParameters held = rank_parameters(model, group, shard);
  const double gradient = bytes_of(plan.gradient_dtype);
  const auto passes = static_cast<double>(micro_batches);

  StepEnd end;
  end.dense.gradients = Bytes{held.dense() * gradient};
  end.experts.gradients = Bytes{held.experts * gradient};
  if (plan.zero_stage > 0) {
    end.dense.parameters = Bytes{held.projections * bytes.weight + held.side * bytes.side};
    end.experts.parameters = Bytes{held.experts * bytes.weight};
  }
  for (ParameterExchange* exchange : {&end.dense, &end.experts}) {
    exchange->ranks = copies;
    exchange->reductions = plan.zero_stage >= 2 ? passes : 1.0;
    if (plan.zero_stage > 0) exchange->gathers = plan.zero_stage == 3 ? 2.0 * passes : 1.0;
  }
  end.experts.ranks = copies / plan.expert_parallel;

  const auto stage = static_cast<std::size_t>(shard.stage);
  if (model.tied_embeddings && group.stages.size() > 1 &&
      (stage == 0 || stage + 1 == group.stages.size())) {
    end.embedding_gradient = Bytes{vocabulary_part(model, group, shard) * gradient};
  }

  // Adam on this rank's part: gradient, master copy and two moments in f32 read, all but the gradient written, and
  // the copy that the passes use. Weights that are f32 themselves are the master copy. Before it the gradient is
  // read for its norm and scaled in place; after it the buffer is zeroed. assume: the norm is above the clipping
  // threshold, as it is in the early steps that benchmarks time.
  const bool sharded = plan.zero_stage > 0;
  const double part = held.dense() / (sharded ? static_cast<double>(end.dense.ranks) : 1.0) +
                      held.experts / (sharded ? static_cast<double>(end.experts.ranks) : 1.0);
  constexpr double kStates = 3.0 * 4.0;
  const double copy = bytes.weight < 4.0 ? bytes.weight : 0.0;
  end.optimizer.push_back(optimizer_op(part, 4.0 * gradient));
  end.optimizer.push_back(optimizer_op(part, gradient + 2.0 * kStates + copy));
  return end;
}

}  // namespace lindos
