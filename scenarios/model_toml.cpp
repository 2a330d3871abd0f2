// SPDX-License-Identifier: Apache-2.0
// The [model] table: a catalogue name, a Hugging Face config.json, or every field inline (canonical
// form).
#include <string>
#include <vector>

#include "scenarios/hf_config.h"
#include "scenarios/model_check.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/text_file.h"

namespace lindos {
namespace {

std::vector<std::string> names_of(const std::map<std::string, Model>& models) {
  std::vector<std::string> names;
  for (const auto& [name, model] : models) names.push_back(name);
  return names;
}

RopeScaling read_rope(const TomlTable& table) {
  table.allow({"kind", "factor", "low_freq_factor", "high_freq_factor", "beta_fast", "beta_slow",
               "mscale", "mscale_all_dim", "attention_factor", "truncate",
               "original_max_positions"});
  constexpr RopeKind kKinds[] = {RopeKind::kDefault, RopeKind::kLinear, RopeKind::kDynamic,
                                 RopeKind::kLlama3, RopeKind::kYarn};
  RopeScaling rope;
  rope.kind = kKinds[table.choice("kind", {"default", "linear", "dynamic", "llama3", "yarn"})];
  constexpr double kLargest = 1e9;
  rope.factor = table.number_or("factor", rope.factor, 0.0, kLargest);
  rope.low_freq_factor = table.number_or("low_freq_factor", rope.low_freq_factor, 0.0, kLargest);
  rope.high_freq_factor = table.number_or("high_freq_factor", rope.high_freq_factor, 0.0, kLargest);
  rope.beta_fast = table.number_or("beta_fast", rope.beta_fast, 0.0, kLargest);
  rope.beta_slow = table.number_or("beta_slow", rope.beta_slow, 0.0, kLargest);
  rope.mscale = table.number_or("mscale", rope.mscale, 0.0, kLargest);
  rope.mscale_all_dim = table.number_or("mscale_all_dim", rope.mscale_all_dim, 0.0, kLargest);
  rope.attention_factor = table.number_or("attention_factor", rope.attention_factor, 0.0, kLargest);
  rope.truncate = table.boolean_or("truncate", rope.truncate);
  rope.original_max_positions = table.integer_or("original_max_positions", 0, 0, kMostPositions);
  return rope;
}

Moe read_moe(const TomlTable& table) {
  table.allow({"experts", "top_k", "expert_ffn", "shared_experts", "shared_ffn",
               "first_dense_layers", "layer_interval", "normalise_top_k"});
  Moe moe;
  moe.experts = static_cast<int>(table.integer("experts", 1, kMostExperts));
  moe.top_k = static_cast<int>(table.integer("top_k", 1, kMostExperts));
  moe.expert_ffn = table.integer("expert_ffn", 1, kWidest);
  moe.shared_experts = table.small_or("shared_experts", 0, 0, kMostExperts);
  moe.shared_ffn = table.integer_or("shared_ffn", 0, 0, kWidest);
  moe.first_dense_layers = table.small_or("first_dense_layers", 0, 0, kMostLayers);
  moe.layer_interval = table.small_or("layer_interval", 1, 1, kMostLayers);
  moe.normalise_top_k = table.boolean_or("normalise_top_k", true);
  return moe;
}

Mla read_mla(const TomlTable& table) {
  table.allow({"q_lora_rank", "kv_lora_rank", "nope_head_dim", "rope_head_dim", "v_head_dim"});
  Mla mla;
  mla.q_lora_rank = table.small_or("q_lora_rank", 0, 0, kWidestHead);
  mla.kv_lora_rank = static_cast<int>(table.integer("kv_lora_rank", 1, kWidestHead));
  mla.nope_head_dim = static_cast<int>(table.integer("nope_head_dim", 1, kWidestHead));
  mla.rope_head_dim = static_cast<int>(table.integer("rope_head_dim", 1, kWidestHead));
  mla.v_head_dim = static_cast<int>(table.integer("v_head_dim", 1, kWidestHead));
  return mla;
}

Model read_inline(const TomlTable& table) {
  table.allow({"name",
               "architecture",
               "hidden",
               "layers",
               "q_heads",
               "kv_heads",
               "head_dim",
               "ffn",
               "vocab",
               "max_positions",
               "tied_embeddings",
               "qk_norm",
               "qkv_bias",
               "o_bias",
               "mlp_bias",
               "gated_ffn",
               "learned_positions",
               "rms_eps",
               "rope_theta",
               "rope",
               "dtype",
               "sliding_window",
               "attention_sinks",
               "moe",
               "mla",
               "eos_tokens",
               "bos_token"});
  Model m;
  m.name = table.text("name");
  m.architecture = table.text_or("architecture", "");
  m.hidden = table.integer("hidden", 1, kWidest);
  m.layers = table.integer("layers", 1, kMostLayers);
  m.q_heads = table.integer("q_heads", 1, kMostHeads);
  m.kv_heads = table.integer("kv_heads", 1, kMostHeads);
  m.head_dim = table.integer("head_dim", 1, kWidestHead);
  // A model whose every layer is MoE has no dense FFN.
  m.ffn = table.integer("ffn", table.has("moe") ? 0 : 1, kWidest);
  m.vocab = table.integer("vocab", 1, kLargestVocabulary);
  m.max_positions = table.integer("max_positions", 1, kMostPositions);
  m.tied_embeddings = table.boolean_or("tied_embeddings", false);
  m.qk_norm = table.boolean_or("qk_norm", false);
  m.qkv_bias = table.boolean_or("qkv_bias", false);
  m.o_bias = table.boolean_or("o_bias", false);
  m.mlp_bias = table.boolean_or("mlp_bias", false);
  m.gated_ffn = table.boolean_or("gated_ffn", true);
  m.learned_positions = table.boolean_or("learned_positions", false);
  m.rms_eps = table.number_or("rms_eps", m.rms_eps, 0.0, 1.0);
  m.rope_theta = table.number_or("rope_theta", m.rope_theta, 0.0, 1e12);
  if (table.has("rope")) m.rope = read_rope(table.table("rope"));
  m.dtype = table.dtype_or("dtype", Dtype::kBf16);
  if (table.has("sliding_window")) {
    const auto windows = table.integers("sliding_window", 0, kMostPositions);
    m.sliding_window.assign(windows.begin(), windows.end());
  }
  m.attention_sinks = table.boolean_or("attention_sinks", false);
  if (table.has("moe")) m.moe = read_moe(table.table("moe"));
  if (table.has("mla")) m.mla = read_mla(table.table("mla"));
  if (table.has("eos_tokens")) m.eos_tokens = table.integers("eos_tokens", 0, kLargestVocabulary);
  m.bos_token = table.integer_or("bos_token", -1, 0, kLargestVocabulary);
  if (const auto complaint = complaint_about(m)) table.fail("", *complaint);
  return m;
}

Model read_config(const TomlTable& table, std::string_view key, const std::filesystem::path& base) {
  const std::filesystem::path path = base / table.text(key);
  Model model = parse_hf_config(read_text_file(path, table.where(key)), path.string()).model;
  // A config.json does not say what the model is called; its folder usually does.
  if (model.name.empty()) {
    const std::string folder = std::filesystem::absolute(path).parent_path().filename().string();
    model.name = folder.empty() ? "model" : folder;
  }
  return model;
}

}  // namespace

Model read_model(const TomlTable& table, const std::filesystem::path& base,
                 const Catalogue& catalogue) {
  if (table.has("hidden")) return read_inline(table);
  if (table.has("config")) {
    table.allow({"name", "config"});
    Model model = read_config(table, "config", base);
    model.name = table.text_or("name", model.name);
    return model;
  }
  table.allow({"name", "config", "hidden"});
  const std::string name = table.text("name");
  if (name.ends_with(".json")) return read_config(table, "name", base);
  const auto found = catalogue.models.find(name);
  if (found == catalogue.models.end()) {
    table.fail_unknown("name", "model", name, names_of(catalogue.models));
  }
  return found->second;
}

void write_model(TomlText& out, const Model& m) {
  static constexpr std::string_view kRopeKinds[] = {"default", "linear", "dynamic", "llama3",
                                                    "yarn"};
  out.header("model");
  out.text("name", m.name);
  out.text_if_any("architecture", m.architecture);
  out.integer("hidden", m.hidden);
  out.integer("layers", m.layers);
  out.integer("q_heads", m.q_heads);
  out.integer("kv_heads", m.kv_heads);
  out.integer("head_dim", m.head_dim);
  out.integer("ffn", m.ffn);
  out.integer("vocab", m.vocab);
  out.integer("max_positions", m.max_positions);
  out.boolean("tied_embeddings", m.tied_embeddings);
  out.boolean("qk_norm", m.qk_norm);
  out.boolean("qkv_bias", m.qkv_bias);
  out.boolean("o_bias", m.o_bias);
  out.boolean("mlp_bias", m.mlp_bias);
  // Absent in files older than these keys; so left out where they say nothing, and digests stay.
  if (!m.gated_ffn) out.boolean("gated_ffn", false);
  if (m.learned_positions) out.boolean("learned_positions", true);
  out.number("rms_eps", m.rms_eps);
  out.number("rope_theta", m.rope_theta);
  out.dtype("dtype", m.dtype);
  if (!m.sliding_window.empty()) out.integers("sliding_window", m.sliding_window);
  out.boolean("attention_sinks", m.attention_sinks);
  if (!m.eos_tokens.empty()) out.integers("eos_tokens", m.eos_tokens);
  if (m.bos_token >= 0) out.integer("bos_token", m.bos_token);
  if (m.rope != RopeScaling{}) {
    const RopeScaling& r = m.rope;
    out.header("model.rope");
    out.text("kind", kRopeKinds[static_cast<int>(r.kind)]);
    out.number("factor", r.factor);
    out.number("low_freq_factor", r.low_freq_factor);
    out.number("high_freq_factor", r.high_freq_factor);
    out.number("beta_fast", r.beta_fast);
    out.number("beta_slow", r.beta_slow);
    out.number("mscale", r.mscale);
    out.number("mscale_all_dim", r.mscale_all_dim);
    out.number("attention_factor", r.attention_factor);
    out.boolean("truncate", r.truncate);
    out.integer("original_max_positions", r.original_max_positions);
  }
  if (m.is_moe()) {
    out.header("model.moe");
    out.integer("experts", m.moe.experts);
    out.integer("top_k", m.moe.top_k);
    out.integer("expert_ffn", m.moe.expert_ffn);
    out.integer("shared_experts", m.moe.shared_experts);
    out.integer("shared_ffn", m.moe.shared_ffn);
    out.integer("first_dense_layers", m.moe.first_dense_layers);
    out.integer("layer_interval", m.moe.layer_interval);
    out.boolean("normalise_top_k", m.moe.normalise_top_k);
  }
  if (m.is_mla()) {
    out.header("model.mla");
    out.integer("q_lora_rank", m.mla.q_lora_rank);
    out.integer("kv_lora_rank", m.mla.kv_lora_rank);
    out.integer("nope_head_dim", m.mla.nope_head_dim);
    out.integer("rope_head_dim", m.mla.rope_head_dim);
    out.integer("v_head_dim", m.mla.v_head_dim);
  }
}

}  // namespace lindos
