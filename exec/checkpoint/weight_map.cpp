// SPDX-License-Identifier: Apache-2.0
// Which tensors a Llama-family model, dense or with experts, is made of, under their Hugging Face names.
#include <algorithm>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "exec/checkpoint/checkpoint.h"
#include "exec/checkpoint/moe_names.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

void refuse_unsupported(const Model& model) {
  const auto refuse = [&](std::string_view feature) {
    throw Error(ErrorKind::kInput, model.name,
                fmt::format("the engine runs Llama-family models; this one has {}", feature));
  };
  if (const auto experts = unsupported_experts(model)) refuse(*experts);
  if (model.is_mla()) refuse("latent attention");
  if (model.attention_sinks) refuse("attention sinks");
  if (!model.gated_ffn) refuse("an FFN without a gate");
  if (model.learned_positions) refuse("learned positions");
}

// Appends " missing: a, b, … and 7 more" lines; a 61-layer mismatch must not scroll the reason
// away.
void append_list(std::string& message, std::string_view title,
                 const std::vector<std::string>& items) {
  constexpr std::size_t kShown = 12;
  if (items.empty()) return;
  const std::vector<std::string> shown(
      items.begin(), items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), kShown)));
  message += fmt::format("\n  {} ({}): {}", title, items.size(), fmt::join(shown, "; "));
  if (items.size() > kShown) message += fmt::format("; and {} more", items.size() - kShown);
}

}  // namespace

std::vector<TensorInfo> expected_tensors(const Model& model) {
  refuse_unsupported(model);
  std::vector<TensorInfo> all;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape) {
    all.push_back({std::move(name), model.dtype, std::move(shape), {}});
  };
  const std::int64_t q_width = model.q_heads * model.head_dim;
  const std::int64_t kv_width = model.kv_heads * model.head_dim;
  add("model.embed_tokens.weight", {model.vocab, model.hidden});
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const std::string at = fmt::format("model.layers.{}.", layer);
    add(at + "input_layernorm.weight", {model.hidden});
    add(at + "self_attn.q_proj.weight", {q_width, model.hidden});
    add(at + "self_attn.k_proj.weight", {kv_width, model.hidden});
    add(at + "self_attn.v_proj.weight", {kv_width, model.hidden});
    add(at + "self_attn.o_proj.weight", {model.hidden, q_width});
    if (model.qkv_bias) {
      add(at + "self_attn.q_proj.bias", {q_width});
      add(at + "self_attn.k_proj.bias", {kv_width});
      add(at + "self_attn.v_proj.bias", {kv_width});
    }
    if (model.o_bias) add(at + "self_attn.o_proj.bias", {model.hidden});
    if (model.qk_norm) {
      add(at + "self_attn.q_norm.weight", {model.head_dim});
      add(at + "self_attn.k_norm.weight", {model.head_dim});
    }
    add(at + "post_attention_layernorm.weight", {model.hidden});
    const auto add_ffn = [&](const FfnNames& names, std::int64_t width) {
      add(names.gate, {width, model.hidden});
      add(names.up, {width, model.hidden});
      add(names.down, {model.hidden, width});
    };
    if (model.is_moe_layer(layer)) {
      const MoeNames names = moe_names(model, layer);
      add(names.router, {model.moe.experts, model.hidden});
      for (const FfnNames& expert : names.experts) add_ffn(expert, model.moe.expert_ffn);
      if (model.moe.shared_ffn > 0) add_ffn(names.shared, model.moe.shared_ffn);
      continue;
    }
    add_ffn({at + "mlp.gate_proj.weight", at + "mlp.up_proj.weight", at + "mlp.down_proj.weight"}, model.ffn);
    if (model.mlp_bias) {
      add(at + "mlp.gate_proj.bias", {model.ffn});
      add(at + "mlp.up_proj.bias", {model.ffn});
      add(at + "mlp.down_proj.bias", {model.hidden});
    }
  }
  add("model.norm.weight", {model.hidden});
  if (!model.tied_embeddings) add("lm_head.weight", {model.vocab, model.hidden});
  return all;
}

void check_tensors(const Checkpoint& checkpoint, const Model& model) {
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  std::vector<std::string> unreadable;
  std::vector<std::string> surplus;
  std::unordered_set<std::string> wanted;
  for (const TensorInfo& expected : expected_tensors(model)) {
    wanted.insert(expected.name);
    const TensorInfo* stored = checkpoint.find(expected.name);
    if (stored == nullptr) {
      missing.push_back(expected.name);
    } else if (stored->shape != expected.shape) {
      misshapen.push_back(fmt::format("{} is [{}], not [{}]", expected.name,
                                      fmt::join(stored->shape, ", "),
                                      fmt::join(expected.shape, ", ")));
    } else if (!stored->foreign_dtype.empty()) {
      unreadable.push_back(fmt::format("{} is {}", expected.name, stored->foreign_dtype));
    }
  }
  if (missing.empty() && misshapen.empty() && unreadable.empty()) return;
  for (const TensorInfo& stored : checkpoint.tensors()) {
    if (!wanted.contains(stored.name)) surplus.push_back(stored.name);
  }
  std::sort(surplus.begin(), surplus.end());
  std::string message = fmt::format("the weights do not fit the model {}", model.name);
  append_list(message, "missing", missing);
  append_list(message, "of another shape", misshapen);
  append_list(message, "of a type that weights are not read from", unreadable);
  append_list(message, "not part of the model", surplus);
  throw Error(ErrorKind::kInput, checkpoint.description(), message);
}

}  // namespace lindos::exec
