// SPDX-License-Identifier: Apache-2.0
#include "scenarios/hf_config.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <numeric>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "scenarios/error.h"
#include "scenarios/hf_reader.h"
#include "scenarios/json_reader.h"
#include "scenarios/model_check.h"

namespace lindos {
namespace {

using Json = nlohmann::json;

enum class Family { kLlama, kMistral, kQwen2, kQwen3, kMixtral, kQwen3Moe, kDeepSeekMoe, kDeepSeek, kGptOss };

// What the architecture implies when the file is silent.
struct Architecture {
  const char* name;
  Family family;
  double rms_eps;
  double rope_theta;
};
constexpr std::array<Architecture, 9> kArchitectures{{
    {"LlamaForCausalLM", Family::kLlama, 1e-6, 1e4},
    {"MistralForCausalLM", Family::kMistral, 1e-6, 1e4},
    {"Qwen2ForCausalLM", Family::kQwen2, 1e-6, 1e4},
    {"Qwen3ForCausalLM", Family::kQwen3, 1e-6, 1e4},
    {"MixtralForCausalLM", Family::kMixtral, 1e-5, 1e6},
    {"Qwen3MoeForCausalLM", Family::kQwen3Moe, 1e-6, 1e4},
    {"DeepseekForCausalLM", Family::kDeepSeekMoe, 1e-6, 1e4},
    {"DeepseekV3ForCausalLM", Family::kDeepSeek, 1e-6, 1e4},
    {"GptOssForCausalLM", Family::kGptOss, 1e-5, 1.5e5},
}};

// Keys that say nothing about shapes or work: training, generation and bookkeeping.
constexpr std::array kIgnoredKeys{
    "_attn_implementation", "attention_dropout", "attn_dropout", "auto_map", "aux_loss_alpha",
    "ep_size", "experts_per_token", "initial_context_length", "initializer_range", "is_llama_config",
    "max_window_layers", "model_type", "n_group", "num_nextn_predict_layers",
    "output_router_logits", "pad_token_id", "pretraining_tp", "resid_pdrop", "rope_interleave",
    "routed_scaling_factor", "router_aux_loss_coef", "router_jitter_noise", "scoring_func", "seq_aux",
    "swiglu_limit", "topk_group", "topk_method", "transformers.js_config", "transformers_version",
    "use_cache"};

const Architecture& architecture_of(HfReader& reader) {
  const Json* names = reader.find("architectures");
  if (names == nullptr || !names->is_array() || names->empty() || !names->front().is_string()) {
    reader.fail("architectures", "expected an array with the name of the architecture");
  }
  const auto name = names->front().get<std::string>();
  std::vector<std::string> known;
  std::string list;
  for (const Architecture& a : kArchitectures) {
    if (name == a.name) return a;
    known.emplace_back(a.name);
    list += (list.empty() ? "" : ", ") + known.back();
  }
  if (name == "Olmo2ForCausalLM" || name == "Olmo3ForCausalLM") {
    reader.fail("architectures/0", name + " normalises q and k over the full width, which tensor "
                                          "shards cannot do alone; not supported");
  }
  reader.fail("architectures/0", "unknown architecture " + shown(names->front()) + "; known: " +
                                     list + did_you_mean(name, known));
}

RopeKind rope_kind(const std::string& name, const HfReader& rope) {
  constexpr std::array<std::pair<const char*, RopeKind>, 5> kKinds{{{"default", RopeKind::kDefault},
                                                                    {"linear", RopeKind::kLinear},
                                                                    {"dynamic", RopeKind::kDynamic},
                                                                    {"llama3", RopeKind::kLlama3},
                                                                    {"yarn", RopeKind::kYarn}}};
  std::vector<std::string> known;
  for (const auto& [text, kind] : kKinds) {
    if (name == text) return kind;
    known.emplace_back(text);
  }
  rope.fail("rope_type", "unknown kind " + shown(name) +
                             "; known: default, linear, dynamic, llama3, yarn" +
                             did_you_mean(name, known));
}

// Older files have "rope_scaling" with "type" or "rope_type", newer ones "rope_parameters" that also hold theta.
void read_rope(HfReader& reader, const Architecture& architecture, Model& model) {
  model.rope_theta = reader.number("rope_theta", 1.0, 1e12, architecture.rope_theta);
  const Json* scaling = reader.find("rope_scaling");
  const Json* parameters = reader.find("rope_parameters");
  const std::string key = parameters != nullptr ? "rope_parameters" : "rope_scaling";
  const Json* value = parameters != nullptr ? parameters : scaling;
  if (value == nullptr) return;
  if (!value->is_object()) reader.fail(key, "expected an object, saw " + shown(*value));
  HfReader rope(*value, "/" + key, reader.where());
  model.rope_theta = rope.number("rope_theta", 1.0, 1e12, model.rope_theta);
  const auto type = rope.text("rope_type");
  const auto older = rope.text("type");
  if (!type && !older) {
    // Only new files may leave the kind out: there the object can be there for theta alone.
    if (parameters != nullptr && scaling == nullptr && !value->contains("factor")) return;
    rope.fail("rope_type", "missing; known: default, linear, dynamic, llama3, yarn");
  }
  RopeScaling& out = model.rope;
  out.kind = rope_kind(type ? *type : *older, rope);
  if (out.kind == RopeKind::kDefault) return;
  out.factor = rope.number("factor", 1.0, 1e4);
  out.original_max_positions =
      rope.integer("original_max_position_embeddings", 1, kMostPositions, model.max_positions);
  if (out.kind == RopeKind::kLlama3) {
    out.low_freq_factor = rope.number("low_freq_factor", 1e-6, 1e4);
    out.high_freq_factor = rope.number("high_freq_factor", 1e-6, 1e4);
    // The blend between the two divides by their difference.
    if (out.high_freq_factor <= out.low_freq_factor) {
      rope.fail("high_freq_factor", "must be above low_freq_factor");
    }
  }
  if (out.kind == RopeKind::kYarn) {
    out.beta_fast = rope.number("beta_fast", 0.0, 1e4, 32.0);
    out.beta_slow = rope.number("beta_slow", 0.0, 1e4, 1.0);
    out.mscale = rope.number("mscale", 0.0, 100.0, 1.0);
    out.mscale_all_dim = rope.number("mscale_all_dim", 0.0, 100.0, 0.0);
    out.attention_factor = rope.number("attention_factor", 0.0, 100.0, 0.0);
    out.truncate = rope.flag("truncate", true);
  }
}

// "sliding_window" alone counts for Mistral and Mixtral; Qwen needs "use_sliding_window" and starts it at
// layer "max_window_layers"; "layer_types" names each layer and wins.
void read_windows(HfReader& reader, Family family, Model& model) {
  const auto window = static_cast<int>(reader.integer("sliding_window", 1, kMostPositions, 0));
  const bool used = reader.flag("use_sliding_window", false);
  const auto layers = static_cast<std::size_t>(model.layers);
  if (const Json* types = reader.find("layer_types")) {
    if (!types->is_array() || types->size() != layers) {
      reader.fail("layer_types", "expected an array with one entry for each of " +
                                     std::to_string(layers) + " layers");
    }
    for (std::size_t l = 0; l < layers; ++l) {
      const std::string key = "layer_types/" + std::to_string(l);
      const Json& type = (*types)[l];
      if (type == "full_attention") {
        model.sliding_window.push_back(0);
      } else if (type == "sliding_attention") {
        if (window == 0) reader.fail(key, "sliding_attention without \"sliding_window\"");
        model.sliding_window.push_back(window);
      } else {
        reader.fail(key, "expected \"full_attention\" or \"sliding_attention\", saw " + shown(type));
      }
    }
  } else if (window > 0) {
    std::int64_t first = model.layers;
    if (family == Family::kMistral || family == Family::kMixtral) first = 0;
    if (used) first = reader.integer("max_window_layers", 0, kMostLayers, 28);
    for (std::int64_t l = 0; l < model.layers; ++l) {
      const bool slides = family == Family::kGptOss ? l % 2 == 0 : l >= first;
      model.sliding_window.push_back(slides ? window : 0);
    }
  }
  const auto full = [](int w) { return w == 0; };
  if (std::all_of(model.sliding_window.begin(), model.sliding_window.end(), full)) {
    model.sliding_window.clear();
  }
}

void read_qwen_experts(HfReader& reader, Model& model) {
  Moe& moe = model.moe;
  // transformers 5 writes the key of Mixtral.
  const char* experts = reader.find("num_local_experts") != nullptr ? "num_local_experts" : "num_experts";
  moe.experts = reader.small(experts, 1, kMostExperts);
  moe.top_k = reader.small("num_experts_per_tok", 1, kMostExperts);
  moe.expert_ffn = reader.integer("moe_intermediate_size", 1, kWidest);
  moe.normalise_top_k = reader.flag("norm_topk_prob", false);
  moe.layer_interval = reader.small("decoder_sparse_step", 1, kMostLayers, 1);
  // Layer l has experts when (l + 1) is a multiple of the step.
  moe.first_dense_layers = moe.layer_interval - 1;
  const Json* dense = reader.find("mlp_only_layers");
  if (dense == nullptr || (dense->is_array() && dense->empty())) return;
  std::vector<int> leading(dense->size());
  std::iota(leading.begin(), leading.end(), 0);
  if (*dense != Json(leading) || moe.layer_interval != 1) {
    reader.fail("mlp_only_layers", "only leading layers 0, 1, … are supported");
  }
  moe.first_dense_layers = static_cast<int>(std::min<std::size_t>(leading.size(), kMostLayers));
}

// `normalise`: what files of the family mean that do not say.
void read_deepseek_experts(HfReader& reader, Model& model, bool normalise) {
  Moe& moe = model.moe;
  moe.experts = reader.small("n_routed_experts", 1, kMostExperts);
  moe.top_k = reader.small("num_experts_per_tok", 1, kMostExperts);
  moe.expert_ffn = reader.integer("moe_intermediate_size", 1, kWidest);
  moe.shared_experts = reader.small("n_shared_experts", 0, kMostExperts, 0);
  moe.shared_ffn = moe.shared_experts * moe.expert_ffn;
  moe.first_dense_layers = reader.small("first_k_dense_replace", 0, kMostLayers, 0);
  moe.layer_interval = reader.small("moe_layer_freq", 1, kMostLayers, 1);
  moe.normalise_top_k = reader.flag("norm_topk_prob", normalise);
  // Layer l has experts when l is a multiple of the frequency.
  if (moe.first_dense_layers % moe.layer_interval != 0) {
    reader.fail("moe_layer_freq", "does not divide first_k_dense_replace; not supported");
  }
}

void read_latent_attention(HfReader& reader, Model& model) {
  Mla& mla = model.mla;
  mla.q_lora_rank = reader.small("q_lora_rank", 0, kWidestHead, 0);
  mla.kv_lora_rank = reader.small("kv_lora_rank", 1, kWidestHead);
  mla.nope_head_dim = reader.small("qk_nope_head_dim", 1, kWidestHead);
  mla.rope_head_dim = reader.small("qk_rope_head_dim", 1, kWidestHead);
  mla.v_head_dim = reader.small("v_head_dim", 1, kWidestHead);
  model.head_dim = mla.nope_head_dim + mla.rope_head_dim;
}

void read_family(HfReader& reader, Family family, Model& model) {
  const bool attention_bias = reader.flag("attention_bias", family == Family::kGptOss);
  const bool mlp_bias = reader.flag("mlp_bias");
  switch (family) {
    case Family::kLlama:
      model.qkv_bias = model.o_bias = attention_bias;
      model.mlp_bias = mlp_bias;
      break;
    case Family::kMistral: break;
    case Family::kQwen2: model.qkv_bias = true; break;  // without any key
    case Family::kQwen3:
      model.qk_norm = true;
      model.qkv_bias = model.o_bias = attention_bias;
      break;
    case Family::kMixtral:
      model.moe.experts = reader.small("num_local_experts", 1, kMostExperts);
      model.moe.top_k = reader.small("num_experts_per_tok", 1, kMostExperts, 2);
      model.moe.expert_ffn = model.ffn;
      break;
    case Family::kQwen3Moe:
      model.qk_norm = true;
      model.qkv_bias = model.o_bias = attention_bias;
      read_qwen_experts(reader, model);
      break;
    case Family::kDeepSeekMoe: {
      model.qkv_bias = model.o_bias = attention_bias;
      read_deepseek_experts(reader, model, false);
      const auto scores = reader.text("scoring_func");
      if (scores && *scores != "softmax") {
        reader.fail("scoring_func", "unsupported scores " + shown(*scores) + "; known: softmax");
      }
      break;
    }
    case Family::kDeepSeek:
      if (attention_bias) reader.fail("attention_bias", "latent attention with biases is not supported");
      read_latent_attention(reader, model);
      read_deepseek_experts(reader, model, true);
      break;
    case Family::kGptOss:
      model.qkv_bias = model.o_bias = attention_bias;
      model.mlp_bias = true;  // router and experts, without a key
      model.attention_sinks = true;
      model.moe.experts = reader.small("num_local_experts", 1, kMostExperts);
      model.moe.top_k = reader.small("num_experts_per_tok", 1, kMostExperts);
      model.moe.expert_ffn = model.ffn;
      break;
  }
}

void read_heads(HfReader& reader, Family family, Model& model) {
  model.q_heads = reader.integer("num_attention_heads", 1, kMostHeads);
  model.kv_heads = reader.integer("num_key_value_heads", 1, kMostHeads, model.q_heads);
  model.head_dim = reader.integer("head_dim", 1, kWidestHead, 0);
  if (model.head_dim > 0 || family == Family::kDeepSeek) return;
  if (model.hidden % model.q_heads != 0) {
    reader.fail("head_dim", "missing, and hidden_size " + std::to_string(model.hidden) +
                                " is not a multiple of num_attention_heads " +
                                std::to_string(model.q_heads));
  }
  model.head_dim = model.hidden / model.q_heads;
}

void read_dtype(HfReader& reader, HfConfig& config) {
  const auto older = reader.text("torch_dtype");
  const auto newer = reader.text("dtype");
  const std::string name = newer ? *newer : older.value_or("float32");  // PyTorch's default
  if (name == "float32") {
    config.model.dtype = Dtype::kF32;
  } else if (name == "float16") {
    config.model.dtype = Dtype::kF16;
  } else if (name == "bfloat16") {
    config.model.dtype = Dtype::kBf16;
  } else {
    reader.fail(newer ? "dtype" : "torch_dtype",
                "unknown number format " + shown(name) + "; known: float32, float16, bfloat16" +
                    did_you_mean(name, {"float32", "float16", "bfloat16"}));
  }
  const Json* quantization = reader.find("quantization_config");
  if (quantization == nullptr) return;
  if (!quantization->is_object()) reader.fail("quantization_config", "expected an object");
  HfReader inner(*quantization, "/quantization_config", reader.where());
  const auto method = inner.text("quant_method");
  if (!method || method->empty()) inner.fail("quant_method", "missing");
  config.quantization = *method;
  if (*method == "fp8") config.model.dtype = Dtype::kFp8;
  if (*method == "mxfp4") config.model.dtype = Dtype::kFp4;
}

void read_ends(HfReader& reader, Model& model) {
  const std::int64_t highest = model.vocab - 1;
  model.bos_token = reader.integer("bos_token_id", 0, highest, -1);
  const Json* end = reader.find("eos_token_id");
  if (end == nullptr) return;
  if (!end->is_array()) {
    model.eos_tokens.push_back(reader.checked(*end, "eos_token_id", 0, highest));
    return;
  }
  for (std::size_t i = 0; i < end->size(); ++i) {
    model.eos_tokens.push_back(
        reader.checked((*end)[i], "eos_token_id/" + std::to_string(i), 0, highest));
  }
}

void refuse_unsupported(HfReader& reader) {
  const auto activation = reader.text("hidden_act");
  if (activation && *activation != "silu" && *activation != "swish") {
    reader.fail("hidden_act", "unsupported activation " + shown(*activation) + "; known: silu");
  }
  if (reader.number("partial_rotary_factor", 0.0, 1.0, 1.0) != 1.0) {
    reader.fail("partial_rotary_factor", "only 1 is supported: RoPE over the whole head");
  }
  if (reader.flag("rope_interleaved")) {
    reader.fail("rope_interleaved", "only the pairing of the two halves is supported");
  }
}

}  // namespace

HfConfig parse_hf_config(std::string_view text, const std::string& where) {
  const Json document = parse_json(text, where);
  if (!document.is_object()) {
    throw Error(ErrorKind::kInput, where, "expected an object, saw " + shown(document));
  }
  HfReader reader(document, "", where);
  HfConfig config;
  Model& model = config.model;
  const Architecture& architecture = architecture_of(reader);
  model.architecture = architecture.name;
  model.name = reader.text("_name_or_path").value_or("");
  if (model.name.empty()) model.name = reader.text("model_type").value_or(model.architecture);
  model.hidden = reader.integer("hidden_size", 1, kWidest);
  model.layers = reader.integer("num_hidden_layers", 1, kMostLayers);
  model.ffn = reader.integer("intermediate_size", 1, kWidest);
  model.vocab = reader.integer("vocab_size", 1, kLargestVocabulary);
  model.max_positions = reader.integer("max_position_embeddings", 1, kMostPositions);
  model.tied_embeddings = reader.flag("tie_word_embeddings", false);
  model.rms_eps = reader.number("rms_norm_eps", 1e-12, 1.0, architecture.rms_eps);
  read_heads(reader, architecture.family, model);
  read_rope(reader, architecture, model);
  read_family(reader, architecture.family, model);
  read_windows(reader, architecture.family, model);
  read_dtype(reader, config);
  read_ends(reader, model);
  refuse_unsupported(reader);
  if (const auto complaint = complaint_about(model)) {
    throw Error(ErrorKind::kInput, where, *complaint);
  }
  for (const auto& [key, unused] : document.items()) {
    const bool read = std::find(reader.known().begin(), reader.known().end(), key) !=
                      reader.known().end();
    const bool ignored =
        std::find(kIgnoredKeys.begin(), kIgnoredKeys.end(), key) != kIgnoredKeys.end();
    if (!read && !ignored) config.unknown_keys.push_back(key);
  }
  return config;
}

}  // namespace lindos
