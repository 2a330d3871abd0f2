// SPDX-License-Identifier: Apache-2.0
// Random models and shardings for property tests.
#pragma once

#include <rapidcheck.h>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "tests/scenarios/models.h"

namespace lindos {

inline Model any_model() {
  Model m = smollm2();
  m.hidden = *rc::gen::inRange<std::int64_t>(1, 200);
  m.layers = *rc::gen::inRange<std::int64_t>(1, 9);
  m.kv_heads = *rc::gen::inRange<std::int64_t>(1, 8);
  m.q_heads = m.kv_heads * *rc::gen::inRange<std::int64_t>(1, 5);
  m.head_dim = 2 * *rc::gen::inRange<std::int64_t>(1, 40);
  m.ffn = *rc::gen::inRange<std::int64_t>(1, 700);
  m.vocab = *rc::gen::inRange<std::int64_t>(1, 2000);
  m.tied_embeddings = *rc::gen::arbitrary<bool>();
  m.qk_norm = *rc::gen::arbitrary<bool>();
  m.qkv_bias = *rc::gen::arbitrary<bool>();
  m.o_bias = *rc::gen::arbitrary<bool>();
  m.mlp_bias = *rc::gen::arbitrary<bool>();
  m.gated_ffn = *rc::gen::arbitrary<bool>();
  m.learned_positions = *rc::gen::arbitrary<bool>();
  m.attention_sinks = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) {
    for (std::int64_t l = 0; l < m.layers; ++l) {
      m.sliding_window.push_back(*rc::gen::inRange(0, 40));
    }
  }
  if (*rc::gen::inRange(0, 3) == 0) {
    m.moe.experts = *rc::gen::inRange(1, 40);
    m.moe.top_k = *rc::gen::inRange(1, m.moe.experts + 1);
    m.moe.expert_ffn = *rc::gen::inRange<std::int64_t>(1, 300);
    m.moe.shared_experts = *rc::gen::inRange(0, 3);
    m.moe.shared_ffn = 16 * m.moe.shared_experts;
    m.moe.first_dense_layers = *rc::gen::inRange(0, 3);
    m.moe.layer_interval = *rc::gen::inRange(1, 4);
  }
  if (*rc::gen::inRange(0, 4) == 0) {
    m.kv_heads = m.q_heads;
    m.qkv_bias = m.qk_norm = m.attention_sinks = false;
    m.mla = {.q_lora_rank = *rc::gen::inRange(0, 3) * 24, .kv_lora_rank = 32, .nope_head_dim = 12,
             .rope_head_dim = 8, .v_head_dim = 10};
  }
  return m;
}

// Any pipeline of stages with tensor ranks of these weights.
inline GroupPlan any_group(const Model& model, const std::vector<double>& weights, KvSplit kv) {
  const int stages = *rc::gen::inRange(1, static_cast<int>(model.layers) + 1);
  GroupPlan group = make_plan(model, "pool", stages, weights, {},
                              *rc::gen::element(Dtype::kF32, Dtype::kBf16, Dtype::kFp8), {},
                              *rc::gen::element<std::int64_t>(1, 16), kv)
                        .groups.at(0);
  // Some stages of the other shape of experts: cut in columns or dealt out whole.
  if (model.is_moe() && *rc::gen::arbitrary<bool>()) {
    const auto dealt = split(model.moe.experts, 1, weights);
    for (StagePlan& stage : group.stages) {
      for (std::size_t r = 0; r < stage.ranks.size(); ++r) stage.ranks[r].share.experts = dealt[r];
    }
  }
  return group;
}

inline GroupPlan any_group(const Model& model) {
  const auto parts = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 6), rc::gen::inRange(0, 5));
  const std::vector<double> weights(parts.begin(), parts.end());
  RC_PRE(std::accumulate(weights.begin(), weights.end(), 0.0) > 0.0);
  return any_group(model, weights, *rc::gen::element(KvSplit::kReplicate, KvSplit::kWholeGroups));
}

}  // namespace lindos
