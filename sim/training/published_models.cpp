// SPDX-License-Identifier: Apache-2.0
#include "sim/training/published_models.h"

#include <array>
#include <cctype>
#include <cstdint>
#include <string_view>
#include <utility>

namespace lindos::sim {

namespace {

// GPT of Megatron-LM: learned positions, biases, GELU over 4 × hidden, tied embeddings. Layers,
// hidden size and heads: Narayanan et al., SC21, Table 1 (arXiv 2104.04473); Korthikanti et al.,
// Table 3 (arXiv 2205.05198); NVIDIA/NeMo-Framework-Launcher, conf/training/gpt3;
// mosaicml/llm-foundry, scripts/train/yamls/pretrain (MPT). Vocabularies as padded there.
struct GptShape {
  std::string_view name;
  std::int64_t layers, hidden, heads, vocab;
};
constexpr std::array kGpt{
    GptShape{"gpt1.7b", 24, 2304, 24, 51200},      GptShape{"gpt3.6b", 30, 3072, 32, 51200},
    GptShape{"gpt7.5b", 36, 4096, 32, 51200},      GptShape{"gpt18.4b", 40, 6144, 48, 51200},
    GptShape{"gpt39.1b", 48, 8192, 64, 51200},     GptShape{"gpt76.1b", 60, 10240, 80, 51200},
    GptShape{"gpt145.6b", 80, 12288, 96, 51200},   GptShape{"gpt310.1b", 96, 16384, 128, 51200},
    GptShape{"gpt529.6b", 105, 20480, 128, 51200}, GptShape{"gpt1008b", 128, 25600, 160, 51200},
    GptShape{"gpt22b", 48, 6144, 64, 51200},       GptShape{"gpt175b", 96, 12288, 96, 51200},
    GptShape{"gpt530b", 105, 20480, 128, 51200},   GptShape{"gpt1t", 128, 25600, 160, 51200},
    GptShape{"gpt3126m", 12, 768, 12, 51200},      GptShape{"gpt35b", 24, 4096, 32, 51200},
    GptShape{"gpt320b", 44, 6144, 48, 51200},      GptShape{"gpt340b", 48, 8192, 64, 51200},
    GptShape{"gpt3175b", 96, 12288, 96, 51200},    GptShape{"mpt125m", 12, 768, 12, 50368},
    GptShape{"mpt350m", 24, 1024, 16, 50368},      GptShape{"mpt760m", 24, 1536, 12, 50368},
    GptShape{"mpt1b", 24, 2048, 16, 50368},        GptShape{"mpt3b", 32, 2560, 20, 50368},
    GptShape{"mpt7b", 32, 4096, 32, 50368},        GptShape{"mpt13b", 40, 5120, 40, 50368},
    GptShape{"mpt30b", 48, 7168, 56, 50368},       GptShape{"mpt70b", 80, 8192, 64, 50368},
};

// Rotary positions, no biases, own output matrix. Llama 2: microsoft/vidur @7d475133,
// model_config.py, and Touvron et al., Table 1 (arXiv 2302.13971) for 13B. Nemotron (squared ReLU,
// no gate): NVIDIA/NeMo-Framework-Launcher, conf/training/nemotron; Parmar et al. (arXiv
// 2402.16819).
struct RotaryShape {
  std::string_view name;
  std::int64_t layers, hidden, q_heads, kv_heads, head_dim, ffn, vocab;
  bool gated;
};
constexpr std::array kRotary{
    RotaryShape{"llama27b", 32, 4096, 32, 32, 128, 11008, 32000, true},
    RotaryShape{"llama213b", 40, 5120, 40, 40, 128, 13824, 32000, true},
    RotaryShape{"llama270b", 80, 8192, 64, 8, 128, 28672, 32000, true},
    RotaryShape{"nemotron8b", 32, 4096, 32, 32, 128, 16384, 256000, false},
    RotaryShape{"nemotron15b", 32, 6144, 48, 8, 128, 24576, 256000, false},
    RotaryShape{"nemotron22b", 40, 6144, 48, 48, 128, 24576, 256000, false},
    RotaryShape{"nemotron340b", 96, 18432, 96, 8, 192, 73728, 256000, false},
};

// Names that tables use for catalogue entries.
constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kAliases{{
    {"llama38b", "llama3.18b"},
    {"llama370b", "llama3.170b"},
    {"llama3405b", "llama3.1405b"},
    {"mixtral8x7b", "mixtral8x7b"},
    {"deepseekv3671b", "deepseekv3"},
    {"gptoss120b", "gptoss120b"},
    {"qwen330ba3b", "qwen330ba3b"},
    {"qwen330b", "qwen330ba3b"},
    {"qwen3235ba22b", "qwen3235ba22b"},
    {"qwen3235b", "qwen3235ba22b"},
}};

std::string key_of(std::string_view name) {
  std::string key;
  for (const char c : name) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalnum(letter) != 0 || c == '.')
      key.push_back(static_cast<char>(std::tolower(letter)));
  }
  return key;
}

// Removes `part` from the end of `key`.
bool take_suffix(std::string& key, std::string_view part) {
  if (key.size() < part.size() || !key.ends_with(part)) return false;
  key.erase(key.size() - part.size());
  return true;
}

Model gpt(const GptShape& shape) {
  Model model;
  model.layers = shape.layers;
  model.hidden = shape.hidden;
  model.q_heads = model.kv_heads = shape.heads;
  model.head_dim = shape.hidden / shape.heads;
  model.ffn = 4 * shape.hidden;
  model.vocab = shape.vocab;
  model.max_positions = 2048;
  model.tied_embeddings = true;
  model.gated_ffn = false;
  model.learned_positions = true;
  model.qkv_bias = model.o_bias = model.mlp_bias = true;
  return model;
}

Model rotary(const RotaryShape& shape) {
  Model model;
  model.layers = shape.layers;
  model.hidden = shape.hidden;
  model.q_heads = shape.q_heads;
  model.kv_heads = shape.kv_heads;
  model.head_dim = shape.head_dim;
  model.ffn = shape.ffn;
  model.vocab = shape.vocab;
  model.max_positions = 4096;
  model.gated_ffn = shape.gated;
  return model;
}

std::optional<Model> find_shape(const std::string& key, const Catalogue& catalogue) {
  for (const GptShape& shape : kGpt) {
    if (shape.name == key) return gpt(shape);
  }
  for (const RotaryShape& shape : kRotary) {
    if (shape.name == key) return rotary(shape);
  }
  std::string_view entry = key;
  for (const auto& [alias, name] : kAliases) {
    if (alias == key) entry = name;
  }
  for (const auto& [name, model] : catalogue.models) {
    if (key_of(name) == entry) return model;
  }
  return std::nullopt;
}

}  // namespace

std::optional<PublishedModel> find_published_model(const std::string& name,
                                                   const Catalogue& catalogue) {
  PublishedModel found;
  std::string key = key_of(name);
  if (key.starts_with("ft")) {
    found.finetuned = true;
    key.erase(0, 2);
  }
  found.adapters = take_suffix(key, "lora");
  const bool whole = take_suffix(key, "sft");
  found.finetuned = found.finetuned || found.adapters || whole;
  std::optional<Model> model = find_shape(key, catalogue);
  if (!model) return std::nullopt;
  found.model = std::move(*model);
  found.model.name = name;
  found.model.dtype = Dtype::kBf16;
  return found;
}

}  // namespace lindos::sim
