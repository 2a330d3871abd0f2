// SPDX-License-Identifier: Apache-2.0
// Parameters, stored weights and KV bytes.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "scenarios/ops.h"
#include "scenarios/shard_shape.h"

namespace lindos {
namespace {

double sum(const LayerParameters& p) {
  return p.attention + p.ffn + p.experts + p.side + p.expert_side;
}

// One copy of everything on one rank.
ShardShape whole(const Model& model) {
  return shard_shape(model, unsharded(model, GroupPlan{}), {0, 0});
}

double table(const Model& model) {
  return static_cast<double>(model.vocab) * static_cast<double>(model.hidden);
}

// The rank looks rows up in the whole table that it also multiplies with.
bool head_is_table(const Model& model, const ShardShape& shape) {
  return model.tied_embeddings && shape.first_stage;
}

}  // namespace

std::int64_t parameter_count(const Model& model) {
  const ShardShape shape = whole(model);
  double count = embedding_parameters(model) + (model.tied_embeddings ? 0.0 : table(model)) +
                 static_cast<double>(model.hidden);
  for (std::int64_t l = 0; l < model.layers; ++l) count += sum(layer_parameters(model, shape, l));
  return std::llround(count);
}

std::int64_t active_parameter_count(const Model& model) {
  if (!model.is_moe()) return parameter_count(model);
  double idle = 0.0;
  const auto hidden = static_cast<double>(model.hidden);
  const auto width = static_cast<double>(model.moe.expert_ffn);
  const double inputs = model.ffn_inputs();
  const double expert =
      (inputs + 1.0) * hidden * width + (model.mlp_bias ? inputs * width + hidden : 0.0);
  for (std::int64_t l = 0; l < model.layers; ++l) {
    if (model.is_moe_layer(l)) idle += expert * (model.moe.experts - model.moe.top_k);
  }
  return parameter_count(model) - std::llround(idle);
}

Bytes weight_bytes(const Model& model, const GroupPlan& group, ShardId shard) {
  const ShardShape shape = shard_shape(model, group, shard);
  const ElementBytes bytes = element_bytes(group);
  double stored = 0.0;
  for (std::int64_t l = shape.layers.begin; l < shape.layers.end; ++l) {
    const LayerParameters p = layer_parameters(model, shape, l);
    stored += (p.attention + p.ffn + p.experts) * bytes.weight +
              (p.side + p.expert_side) * bytes.side;
  }
  double side = shape.first_stage ? embedding_parameters(model) : 0.0;
  if (shape.last_stage) {
    side += static_cast<double>(model.hidden);
    if (!head_is_table(model, shape)) {
      side += static_cast<double>(shape.vocab) * static_cast<double>(model.hidden);
    }
  }
  return Bytes{stored + side * bytes.side};
}

Bytes kv_bytes_per_token(const Model& model, const GroupPlan& group, ShardId shard) {
  const ShardShape shape = shard_shape(model, group, shard);
  const std::int64_t elements = shape.latent + 2 * shape.kv_heads * model.head_dim;
  return Bytes{static_cast<double>(shape.layers.size() * elements) * element_bytes(group).kv};
}

StorageOverhead storage_overhead(const Model& model, const GroupPlan& group) {
  const ElementBytes bytes = element_bytes(group);
  const auto hidden = static_cast<double>(model.hidden);
  StorageOverhead overhead;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const StagePlan& stage = group.stages[s];
    double with_heads = 0.0;
    double kv_copies = static_cast<double>(-model.kv_heads);
    for (const RankPlan& rank : stage.ranks) {
      with_heads += rank.share.q_heads.empty() ? 0.0 : 1.0;
      kv_copies += static_cast<double>(rank.share.kv_heads.size());
    }
    const double more = static_cast<double>(stage.ranks.size()) - 1.0;
    for (std::int64_t l = stage.layers.begin; l < stage.layers.end; ++l) {
      double side = more * hidden * (2.0 + (model.o_bias ? 1.0 : 0.0));
      double matrix = 0.0;
      if (model.is_mla()) {
        const Mla& mla = model.mla;
        matrix = (with_heads - 1.0) * hidden *
                 (mla.q_lora_rank + mla.kv_lora_rank + mla.rope_head_dim);
        side += (with_heads - 1.0) * (mla.q_lora_rank + mla.kv_lora_rank);
      } else {
        if (model.qk_norm) side += (with_heads - 1.0) * 2.0 * static_cast<double>(model.head_dim);
        const double columns = 2.0 * kv_copies * static_cast<double>(model.head_dim);
        overhead.kv_heads += Bytes{columns * (hidden * bytes.weight +
                                              (model.qkv_bias ? bytes.side : 0.0))};
      }
      if (model.is_moe_layer(l)) {
        side += more * model.moe.experts * (hidden + (model.mlp_bias ? 1.0 : 0.0));
      } else if (model.mlp_bias) {
        side += more * hidden;
      }
      overhead.per_rank += Bytes{matrix * bytes.weight + side * bytes.side};
    }
  }
  const double first = static_cast<double>(group.stages.front().ranks.size());
  const double last = static_cast<double>(group.stages.back().ranks.size());
  overhead.embedding = Bytes{(first - 1.0) * embedding_parameters(model) * bytes.side};
  overhead.per_rank += Bytes{(last - 1.0) * hidden * bytes.side};  // the final norm
  if (model.tied_embeddings && group.stages.size() > 1) {
    overhead.tied_copy = Bytes{table(model) * bytes.side};
  }
  return overhead;
}

}  // namespace lindos
