// SPDX-License-Identifier: Apache-2.0
#include "scenarios/model_check.h"

#include <algorithm>

namespace lindos {

std::optional<std::string> complaint_about(const Model& model) {
  const auto text = [](std::int64_t value) { return std::to_string(value); };
  if (model.kv_heads > model.q_heads || model.q_heads % model.kv_heads != 0) {
    return "kv_heads: " + text(model.kv_heads) + " do not divide q_heads " + text(model.q_heads);
  }
  if (!model.is_mla() && model.head_dim % 2 != 0) {
    return "head_dim: RoPE rotates pairs, so it must be even, saw " + text(model.head_dim);
  }
  if (model.is_mla() && model.mla.rope_head_dim % 2 != 0) {
    return "rope_head_dim: RoPE rotates pairs, so it must be even, saw " +
           text(model.mla.rope_head_dim);
  }
  if (model.is_mla() && model.kv_heads != model.q_heads) {
    return "kv_heads: latent attention shares one latent among all heads; expected q_heads " +
           text(model.q_heads) + ", saw " + text(model.kv_heads);
  }
  if (model.is_moe() && model.moe.top_k > model.moe.experts) {
    return "top_k: " + text(model.moe.top_k) + " experts per token, but there are only " +
           text(model.moe.experts);
  }
  if (model.is_moe() && (model.moe.shared_experts > 0) != (model.moe.shared_ffn > 0)) {
    return "shared_ffn: expected the width of all shared experts together, and 0 without them";
  }
  if (model.is_moe() && model.moe.first_dense_layers > model.layers) {
    return "first_dense_layers: " + text(model.moe.first_dense_layers) + " of " +
           text(model.layers) + " layers";
  }
  if (!model.sliding_window.empty() &&
      static_cast<std::int64_t>(model.sliding_window.size()) != model.layers) {
    return "sliding_window: " + text(static_cast<std::int64_t>(model.sliding_window.size())) +
           " entries for " + text(model.layers) + " layers";
  }
  const RopeScaling& rope = model.rope;
  // The blend between the two divides by their difference.
  if (rope.kind == RopeKind::kLlama3 && rope.high_freq_factor <= rope.low_freq_factor) {
    return "rope.high_freq_factor: must be above low_freq_factor";
  }
  if ((rope.kind == RopeKind::kLlama3 || rope.kind == RopeKind::kYarn) &&
      rope.original_max_positions == 0) {
    return "rope.original_max_positions: missing; this kind stretches the context it was trained with";
  }
  const bool foreign_end = std::any_of(model.eos_tokens.begin(), model.eos_tokens.end(),
                                       [&](std::int64_t id) { return id >= model.vocab; });
  if (foreign_end || model.bos_token >= model.vocab) {
    return "eos_tokens, bos_token: ids must be below vocab " + text(model.vocab);
  }
  return std::nullopt;
}

}  // namespace lindos
