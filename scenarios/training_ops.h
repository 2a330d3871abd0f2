// SPDX-License-Identifier: Apache-2.0
// The work of one training step (counting rules "ops/1", docs/ops.md): ops of the forward and backward pass of
// one micro-batch through one model chunk on one rank, and what ends the step. The forward pass is step_ops of
// micro_batch sequences without a cache; the backward pass is derived from it op by op.
//
//   const MicroBatchWork work = micro_batch_work(model, group, training, {.stage = 3, .rank = 0}, 0);
//
// Each op is of one rank (device). Context ranks work alike, so do expert ranks (routing balanced by the
// training loss). REQUIRES, everywhere: a plan that validate_plan and validate_training accept.
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"
#include "scenarios/units.h"
#include "scenarios/workload.h"

namespace lindos {

// In execution order. Messages of the pipeline are not in the lists: they are the two fields. Op::beside_next marks
// tensor and context messages that the usual software runs beside the op that follows.
struct MicroBatchWork {
  std::vector<Op> forward;
  std::vector<Op> recompute;       // of the forward pass, again before the backward pass
  std::vector<Op> backward;
  // What one rank sends to the chunk after, and its gradient to the chunk before; 0 at the ends of the model.
  Bytes forward_message{0};
  Bytes backward_message{0};
  // What one rank hands in, over all layers of the chunk. Experts: one dispatch or one combine; a forward pass has
  // both, a backward pass as well. Context: keys and values in the forward pass; twice that in the backward pass.
  Bytes expert_message{0};
  Bytes context_message{0};
};
[[nodiscard]] MicroBatchWork micro_batch_work(const Model& model, const GroupPlan& group,
                                              const TrainingWorkload& training, ShardId shard,
                                              int chunk);

// Whether an op of the forward pass is computed again before the backward pass.
[[nodiscard]] bool is_recomputed(const Op& op, Recompute recompute);

// The format in which a GEMM multiplies: of the weights, but the head's is never narrower than bf16. Everything else
// computes in the group's activation_dtype.
[[nodiscard]] Dtype gemm_dtype(const Op& op, const GroupPlan& group);

// How one rank's gradients and parameters travel among the `ranks` that hold the same parameters.
//   ZeRO-0: gradients all-reduced. ZeRO-1: gradients reduce-scattered, parameters gathered, once per step.
//   ZeRO-2: gradients reduce-scattered with every micro-batch. ZeRO-3: also parameters gathered before each
//   forward and each backward pass.
struct ParameterExchange {
  std::int64_t ranks = 1;
  Bytes gradients{0};              // full buffer of one rank
  Bytes parameters{0};             // full buffer of one rank; 0 when nothing is gathered (ZeRO-0)
  double reductions = 1.0;         // per step
  double gathers = 0.0;            // per step
};

// After the last micro-batch.
struct StepEnd {
  ParameterExchange dense;         // everything but routed experts
  ParameterExchange experts;       // dealt out over expert_parallel ranks, so held by fewer
  // Gradient of a tied embedding, all-reduced between the first and the last stage; 0 elsewhere.
  Bytes embedding_gradient{0};
  std::vector<Op> optimizer;       // gradient norm, clipping and Adam on this rank's part
};
// `copies` = parameter_copies(plan), `micro_batches` = micro_batches_of(plan, group, training). Frozen weights
// are neither exchanged nor updated.
[[nodiscard]] StepEnd step_end(const Model& model, const GroupPlan& group, ShardId shard,
                               std::int64_t copies, std::int64_t micro_batches,
                               bool frozen_weights = false);

// Useful work, the numerator of MFU: 3 × the matrix FLOP of an unsharded forward pass (backward = 2 × forward),
// attention by its causal half, nothing recomputed. Per token of a sequence, and of a whole step.
[[nodiscard]] Flop model_flop_per_token(const Model& model, std::int64_t sequence);
[[nodiscard]] Flop model_flop(const Model& model, const TrainingWorkload& training);

// Parameters of one rank in training: unlike an engine's first stage, each rank holds its rows of the embedding.
struct RankParameters {
  double projections = 0.0;        // in the group's weight dtype
  double experts = 0.0;            // routed; likewise
  double side = 0.0;               // embedding, head, norms, biases, router
  [[nodiscard]] double dense() const { return projections + side; }
  [[nodiscard]] double all() const { return dense() + experts; }
};
[[nodiscard]] RankParameters rank_parameters(const Model& model, const GroupPlan& group,
                                             ShardId shard);

}  // namespace lindos
