// SPDX-License-Identifier: Apache-2.0
// What one rank holds of one layer, as numbers: the local sizes from which ops, weights, KV cache and scratch
// are counted, so that the four counts cannot drift apart.
#pragma once

#include <cstdint>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/plan.h"
#include "scenarios/profile.h"

namespace lindos {

// Bytes per element of the group's number formats.
struct ElementBytes {
  double weight = 2.0;      // projections and experts
  double side = 2.0;        // embedding, head, norms, biases, router: never narrower than bf16
  double activation = 2.0;
  double kv = 2.0;
};
[[nodiscard]] ElementBytes element_bytes(const GroupPlan& group);

// Local sizes of one rank of one stage. REQUIRES: a plan that validate_plan accepts.
struct ShardShape {
  std::int64_t ranks = 1;           // of the stage
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;        // latent attention: 0, see latent
  std::int64_t latent = 0;          // width of the cached latent, 0 without latent attention or without q heads
  std::int64_t qkv_width = 0;       // columns of the q|k|v projection
  std::int64_t attention_width = 0; // columns of the attention output
  std::int64_t ffn = 0;
  std::int64_t expert_ffn = 0;      // columns of each routed expert
  bool holds_first_expert_column = false;  // adds the experts' down bias, which must be added once
  std::int64_t shared_ffn = 0;
  std::int64_t experts = 0;
  bool expert_parallel = false;     // whole experts are dealt out over the ranks of the stage
  std::int64_t vocab = 0;           // rows of the LM head; 0 but on the last stage
  bool first_stage = false;
  bool last_stage = false;
  Range layers;
};
[[nodiscard]] ShardShape shard_shape(const Model& model, const GroupPlan& group, ShardId shard);

// The same as samples of whole stages name it.
[[nodiscard]] StageRank stage_rank(const Model& model, const GroupPlan& group, ShardId shard, int threads);

// The part of a block of `width` columns that belongs to `share` of `total` columns: both ends are scaled and
// rounded down, so that shares that partition `total` partition `width`.
[[nodiscard]] Range scaled(const Range& share, std::int64_t total, std::int64_t width);

// The stage's ranks hold whole experts, not columns of all.
[[nodiscard]] bool deals_experts_out(const Model& model, const StagePlan& stage);
// Columns of each routed expert that a rank of the stage holds, and of the shared ones as one block.
[[nodiscard]] Range expert_columns(const Model& model, const StagePlan& stage, const TensorShare& share);
[[nodiscard]] Range shared_columns(const Model& model, const TensorShare& share);

// Parameters of one rank, by where they live.
struct LayerParameters {
  double attention = 0.0;   // projections
  double ffn = 0.0;         // dense FFN, shared experts
  double experts = 0.0;     // routed experts
  double side = 0.0;        // norms, biases, router, sinks
  double expert_side = 0.0; // biases of routed experts
};
[[nodiscard]] LayerParameters layer_parameters(const Model& model, const ShardShape& shape,
                                               std::int64_t layer);

// The table that opens the first stage: tokens, and positions where they are learned.
[[nodiscard]] double embedding_parameters(const Model& model);

// A group of one stage and one rank that holds the whole model.
[[nodiscard]] GroupPlan unsharded(const Model& model, const GroupPlan& formats);

}  // namespace lindos
