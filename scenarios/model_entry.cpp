// SPDX-License-Identifier: Apache-2.0
// Catalogue entry of a model (data/catalogue/models/*.toml) → Model.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "scenarios/error.h"
#include "scenarios/model_check.h"
#include "scenarios/quantity_text.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

std::string type_of(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  if (node.is_string()) return "\"" + std::string(node.value_or(std::string_view{})) + "\"";
  if (node.is_integer()) return std::to_string(node.value_or(std::int64_t{0}));
  if (node.is_floating_point()) return std::to_string(node.value_or(0.0));
  if (node.is_boolean()) return node.value_or(false) ? "true" : "false";
  return "a date or time";
}

// One table of the entry. Keys are asked for by name; finish() complains about the others.
class EntryTable {
 public:
  EntryTable(const toml::table& table, std::string prefix, std::string where)
      : table_(table), prefix_(std::move(prefix)), where_(std::move(where)) {}

  [[nodiscard]] bool has(std::string_view key) {
    known_.emplace_back(key);
    return table_.contains(key);
  }

  [[nodiscard]] std::string text(std::string_view key) {
    const toml::node& node = require(key);
    if (!node.is_string()) fail(node, key, "expected a string, saw " + type_of(node));
    return std::string(node.value_or(std::string_view{}));
  }

  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) {
    return integer_of(require(key), key, low, high);
  }

  [[nodiscard]] double number(std::string_view key, double low, double high) {
    const toml::node& node = require(key);
    if (!node.is_number()) fail(node, key, "expected a number, saw " + type_of(node));
    const double value = node.value_or(0.0);
    if (!std::isfinite(value) || value < low || value > high) {
      fail(node, key,
           "expected a number from " + short_text(low) + " to " + short_text(high) + ", saw " +
               type_of(node));
    }
    return value;
  }

  [[nodiscard]] bool flag(std::string_view key, bool otherwise) {
    if (!has(key)) return otherwise;
    const toml::node& node = require(key);
    if (!node.is_boolean()) fail(node, key, "expected true or false, saw " + type_of(node));
    return node.value_or(false);
  }

  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t low,
                                                   std::int64_t high) {
    const toml::node& node = require(key);
    if (!node.is_array()) fail(node, key, "expected an array of integers, saw " + type_of(node));
    std::vector<std::int64_t> values;
    for (const toml::node& element : *node.as_array()) {
      values.push_back(integer_of(element, key, low, high));
    }
    return values;
  }

  [[nodiscard]] EntryTable table(std::string_view key) {
    const toml::node& node = require(key);
    if (!node.is_table()) fail(node, key, "expected a table, saw " + type_of(node));
    return {*node.as_table(), prefix_ + std::string(key) + ".", where_};
  }

  // One of `names`; the index is the answer.
  [[nodiscard]] std::size_t choice(std::string_view key, const std::vector<std::string>& names) {
    const std::string value = text(key);
    const auto found = std::find(names.begin(), names.end(), value);
    if (found != names.end()) return static_cast<std::size_t>(found - names.begin());
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
    const auto nearest = nearest_spelling(value, names.data(), names.size());
    fail(require(key), key,
         "unknown value \"" + value + "\"; known: " + known +
             (nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
  }

  void finish() const {
    for (const auto& [key, node] : table_) {
      const std::string_view name = key.str();
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      const auto nearest = nearest_spelling(name, known_.data(), known_.size());
      fail(node, name, "unknown key" + (nearest ? "; did you mean \"" + *nearest + "\"?" : ""));
    }
  }

  [[noreturn]] void fail_here(const std::string& message) const {
    throw Error(ErrorKind::kInput, position(table_), message);
  }

 private:
  static std::string short_text(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (!text.empty() && text.back() == '.') text.pop_back();
    return text;
  }

  [[nodiscard]] std::string position(const toml::node& node) const {
    const auto begin = node.source().begin;
    return where_ + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column);
  }

  [[noreturn]] void fail(const toml::node& node, std::string_view key,
                         const std::string& message) const {
    throw Error(ErrorKind::kInput, position(node), prefix_ + std::string(key) + ": " + message);
  }

  const toml::node& require(std::string_view key) {
    known_.emplace_back(key);
    if (const toml::node* node = table_.get(key)) return *node;
    fail(table_, key, "missing");
  }

  [[nodiscard]] std::int64_t integer_of(const toml::node& node, std::string_view key,
                                        std::int64_t low, std::int64_t high) const {
    if (!node.is_integer()) fail(node, key, "expected an integer, saw " + type_of(node));
    const std::int64_t value = node.value_or(std::int64_t{0});
    if (value < low || value > high) {
      fail(node, key,
           "expected an integer from " + std::to_string(low) + " to " + std::to_string(high) +
               ", saw " + std::to_string(value));
    }
    return value;
  }

  const toml::table& table_;
  std::string prefix_;
  std::string where_;
  std::vector<std::string> known_;
};

RopeScaling rope_of(EntryTable table) {
  RopeScaling rope;
  rope.kind = static_cast<RopeKind>(
      table.choice("kind", {"default", "linear", "dynamic", "llama3", "yarn"}));
  const auto read = [&](std::string_view key, double low, double high, double& value) {
    if (table.has(key)) value = table.number(key, low, high);
  };
  read("factor", 1.0, 1e4, rope.factor);
  read("low_freq_factor", 1e-3, 1e4, rope.low_freq_factor);
  read("high_freq_factor", 1e-3, 1e4, rope.high_freq_factor);
  read("beta_fast", 0.0, 1e4, rope.beta_fast);
  read("beta_slow", 0.0, 1e4, rope.beta_slow);
  read("mscale", 0.0, 1e2, rope.mscale);
  read("mscale_all_dim", 0.0, 1e2, rope.mscale_all_dim);
  read("attention_factor", 0.0, 1e2, rope.attention_factor);
  rope.truncate = table.flag("truncate", true);
  if (rope.kind == RopeKind::kLlama3 || rope.kind == RopeKind::kYarn) {
    rope.original_max_positions = table.integer("original_max_positions", 1, kMostPositions);
  }
  table.finish();
  return rope;
}

Moe moe_of(EntryTable table) {
  Moe moe;
  moe.experts = static_cast<int>(table.integer("experts", 1, kMostExperts));
  moe.top_k = static_cast<int>(table.integer("top_k", 1, kMostExperts));
  moe.expert_ffn = table.integer("expert_ffn", 1, kWidest);
  if (table.has("shared_experts")) {
    moe.shared_experts = static_cast<int>(table.integer("shared_experts", 0, kMostExperts));
    moe.shared_ffn = table.integer("shared_ffn", 0, kWidest);
  }
  if (table.has("first_dense_layers")) {
    moe.first_dense_layers = static_cast<int>(table.integer("first_dense_layers", 0, kMostLayers));
  }
  if (table.has("layer_interval")) {
    moe.layer_interval = static_cast<int>(table.integer("layer_interval", 1, kMostLayers));
  }
  moe.normalise_top_k = table.flag("normalise_top_k", true);
  table.finish();
  return moe;
}

Mla mla_of(EntryTable table) {
  Mla mla;
  const auto read = [&](std::string_view key, std::int64_t low) {
    return static_cast<int>(table.integer(key, low, kWidestHead));
  };
  mla.q_lora_rank = read("q_lora_rank", 0);
  mla.kv_lora_rank = read("kv_lora_rank", 1);
  mla.nope_head_dim = read("nope_head_dim", 1);
  mla.rope_head_dim = read("rope_head_dim", 1);
  mla.v_head_dim = read("v_head_dim", 1);
  table.finish();
  return mla;
}

}  // namespace

Model parse_model_entry(std::string_view text, const std::string& where) {
  toml::table document;
  try {
    document = toml::parse(text, std::string_view{where});
  } catch (const toml::parse_error& error) {
    const auto begin = error.source().begin;
    throw Error(ErrorKind::kInput,
                where + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column),
                "not TOML: " + std::string(error.description()));
  }
  EntryTable entry(document, "", where);
  Model model;
  if (entry.text("format") != "lindos-model") {
    entry.fail_here("format: expected \"lindos-model\"");
  }
  static_cast<void>(entry.integer("version", 1, 1));
  model.name = entry.text("name");
  // Where the figures come from: required of every entry; the Model itself carries only the figures.
  if (entry.text("source").empty() || entry.text("date").empty()) {
    entry.fail_here("source and date: say where and when the figures were read");
  }
  model.architecture = entry.text("architecture");
  model.hidden = entry.integer("hidden", 1, kWidest);
  model.layers = entry.integer("layers", 1, kMostLayers);
  model.q_heads = entry.integer("q_heads", 1, kMostHeads);
  model.kv_heads = entry.integer("kv_heads", 1, kMostHeads);
  model.head_dim = entry.integer("head_dim", 1, kWidestHead);
  model.ffn = entry.integer("ffn", 1, kWidest);
  model.vocab = entry.integer("vocab", 1, kLargestVocabulary);
  model.max_positions = entry.integer("max_positions", 1, kMostPositions);
  model.tied_embeddings = entry.flag("tied_embeddings", false);
  model.qk_norm = entry.flag("qk_norm", false);
  model.qkv_bias = entry.flag("qkv_bias", false);
  model.o_bias = entry.flag("o_bias", false);
  model.mlp_bias = entry.flag("mlp_bias", false);
  model.gated_ffn = entry.flag("gated_ffn", true);
  model.learned_positions = entry.flag("learned_positions", false);
  model.attention_sinks = entry.flag("attention_sinks", false);
  model.rms_eps = entry.number("rms_eps", 1e-12, 1.0);
  model.rope_theta = entry.number("rope_theta", 1.0, 1e12);
  const std::vector<std::string> dtypes{"f32", "f16", "bf16", "fp8", "fp4", "int8"};
  model.dtype = *find_dtype(dtypes[entry.choice("dtype", dtypes)]);
  if (entry.has("bos_token")) model.bos_token = entry.integer("bos_token", 0, kLargestVocabulary);
  if (entry.has("eos_tokens")) {
    model.eos_tokens = entry.integers("eos_tokens", 0, kLargestVocabulary);
  }
  // A pattern over consecutive layers, repeated to the last: [128, 0] alternates window and full.
  if (entry.has("sliding_window")) {
    const std::vector<std::int64_t> pattern = entry.integers("sliding_window", 0, kMostPositions);
    for (std::int64_t l = 0; !pattern.empty() && l < model.layers; ++l) {
      const auto index = static_cast<std::size_t>(l) % pattern.size();
      model.sliding_window.push_back(static_cast<int>(pattern[index]));
    }
  }
  if (entry.has("rope")) model.rope = rope_of(entry.table("rope"));
  if (entry.has("moe")) model.moe = moe_of(entry.table("moe"));
  if (entry.has("mla")) model.mla = mla_of(entry.table("mla"));
  entry.finish();
  if (const auto complaint = complaint_about(model)) entry.fail_here(*complaint);
  return model;
}

}  // namespace lindos
