// SPDX-License-Identifier: Apache-2.0
#include "scenarios/shard_shape.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/error.h"

namespace lindos {

ElementBytes element_bytes(const GroupPlan& group) {
  ElementBytes bytes;
  bytes.weight = bytes_of(group.weight_dtype);
  bytes.side = std::max(bytes.weight, bytes_of(Dtype::kBf16));
  bytes.activation = bytes_of(group.activation_dtype);
  bytes.kv = bytes_of(group.kv_dtype);
  return bytes;
}

Range scaled(const Range& share, std::int64_t total, std::int64_t width) {
  if (total == 0) return {0, 0};
  return {share.begin * width / total, share.end * width / total};
}

bool deals_experts_out(const Model& model, const StagePlan& stage) {
  const Range all{0, model.moe.experts};
  return std::any_of(stage.ranks.begin(), stage.ranks.end(), [&](const RankPlan& r) { return r.share.experts != all; });
}

Range expert_columns(const Model& model, const StagePlan& stage, const TensorShare& share) {
  return deals_experts_out(model, stage) ? Range{0, model.moe.expert_ffn}
                                         : scaled(share.ffn, model.ffn, model.moe.expert_ffn);
}

Range shared_columns(const Model& model, const TensorShare& share) {
  return scaled(share.ffn, model.ffn, model.moe.shared_ffn);
}

ShardShape shard_shape(const Model& model, const GroupPlan& group, ShardId shard) {
  const auto stage_index = static_cast<std::size_t>(shard.stage);
  const auto rank_index = static_cast<std::size_t>(shard.rank);
  LINDOS_ASSERT(stage_index < group.stages.size(), "the plan has no such stage");
  const StagePlan& stage = group.stages[stage_index];
  LINDOS_ASSERT(rank_index < stage.ranks.size(), "the stage has no such rank");
  const TensorShare& share = stage.ranks[rank_index].share;

  ShardShape shape;
  shape.ranks = static_cast<std::int64_t>(stage.ranks.size());
  shape.layers = stage.layers;
  shape.first_stage = stage_index == 0;
  shape.last_stage = stage_index + 1 == group.stages.size();
  shape.q_heads = share.q_heads.size();
  if (model.is_mla()) {
    const Mla& mla = model.mla;
    shape.latent = shape.q_heads > 0 ? mla.kv_lora_rank + mla.rope_head_dim : 0;
    shape.attention_width = shape.q_heads * mla.v_head_dim;
  } else {
    shape.kv_heads = share.kv_heads.size();
    shape.qkv_width = (shape.q_heads + 2 * shape.kv_heads) * model.head_dim;
    shape.attention_width = shape.q_heads * model.head_dim;
  }
  shape.ffn = share.ffn.size();
  if (shape.last_stage) shape.vocab = share.vocab.size();
  if (model.is_moe()) {
    shape.expert_parallel = deals_experts_out(model, stage);
    shape.experts = share.experts.size();
    const Range columns = expert_columns(model, stage, share);
    shape.expert_ffn = columns.size();
    shape.holds_first_expert_column = columns.begin == 0 && !columns.empty();
    shape.shared_ffn = shared_columns(model, share).size();
  }
  return shape;
}

StageRank stage_rank(const Model& model, const GroupPlan& group, ShardId shard, int threads) {
  const ShardShape shape = shard_shape(model, group, shard);
  const TensorShare& share =
      group.stages[static_cast<std::size_t>(shard.stage)].ranks[static_cast<std::size_t>(shard.rank)].share;
  // Columns of experts that a rank does not hold say nothing of it, and no file keeps them.
  return {share.q_heads.size(), share.kv_heads.size(), share.ffn.size(), threads, shape.experts, shape.experts > 0 ? shape.expert_ffn : 0};
}

double embedding_parameters(const Model& model) {
  const std::int64_t rows = model.vocab + (model.learned_positions ? model.max_positions : 0);
  return static_cast<double>(rows) * static_cast<double>(model.hidden);
}

LayerParameters layer_parameters(const Model& model, const ShardShape& shape, std::int64_t layer) {
  const auto hidden = static_cast<double>(model.hidden);
  const auto q_heads = static_cast<double>(shape.q_heads);
  LayerParameters p;
  p.side = 2.0 * hidden;  // the two norms
  if (model.o_bias) p.side += hidden;
  if (model.is_mla() && shape.q_heads > 0) {
    const Mla& mla = model.mla;
    const double query_width = q_heads * (mla.nope_head_dim + mla.rope_head_dim);
    const double query_input = mla.q_lora_rank > 0 ? mla.q_lora_rank : hidden;
    p.attention = hidden * (mla.q_lora_rank + mla.kv_lora_rank + mla.rope_head_dim) +
                  query_input * query_width +
                  q_heads * mla.kv_lora_rank * (mla.nope_head_dim + mla.v_head_dim);
    p.side += mla.q_lora_rank + mla.kv_lora_rank;
  } else if (!model.is_mla()) {
    p.attention = hidden * static_cast<double>(shape.qkv_width);
    if (model.qkv_bias) p.side += static_cast<double>(shape.qkv_width);
    if (model.qk_norm && shape.q_heads > 0) p.side += 2.0 * static_cast<double>(model.head_dim);
    if (model.attention_sinks) p.side += q_heads;
  }
  p.attention += hidden * static_cast<double>(shape.attention_width);

  const double matrices = model.ffn_inputs() + 1.0;
  if (!model.is_moe_layer(layer)) {
    p.ffn = matrices * hidden * static_cast<double>(shape.ffn);
    if (model.mlp_bias) p.side += (matrices - 1.0) * static_cast<double>(shape.ffn) + hidden;
    return p;
  }
  const auto experts = static_cast<double>(shape.experts);
  const auto width = static_cast<double>(shape.expert_ffn);
  p.ffn = matrices * hidden * static_cast<double>(shape.shared_ffn);
  p.experts = matrices * hidden * experts * width;
  p.side += model.moe.experts * hidden;
  if (model.mlp_bias) {
    p.side += model.moe.experts;
    p.expert_side =
        experts * ((matrices - 1.0) * width + (shape.holds_first_expert_column ? hidden : 0.0));
  }
  return p;
}

GroupPlan unsharded(const Model& model, const GroupPlan& formats) {
  GroupPlan group = formats;
  RankPlan rank;
  rank.pool = "all";
  rank.share = {{0, model.q_heads},
                {0, model.kv_heads},
                {0, model.ffn},
                {0, model.vocab},
                {0, model.moe.experts}};
  group.stages = {StagePlan{{0, model.layers}, {rank}}};
  return group;
}

}  // namespace lindos
