// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_models.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <string_view>
#include <utility>

#include "scenarios/hf_config.h"
#include "scenarios/text_file.h"

namespace lindos::sim {

namespace {

// Other weights in the shape of a catalogue entry.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kSameShape{{
    {"deepseek-r1", "deepseek-v3"},
    {"deepseek-r1-0528", "deepseek-v3"},
    {"deepseek-v3-0324", "deepseek-v3"},
    {"deepseek-v3.1", "deepseek-v3"},
    {"kimi-k2.5", "kimi-k2"},
    {"llama-3.3-70b", "llama-3.1-70b"},
}};
constexpr std::array<std::string_view, 10> kSuffixes{"-instruct", "-fp8",  "-nvfp4", "-fp4", "-2507",
                                                     "-thinking", "-base", "-kv",    "-hf",  "-bf16"};

std::string key_of(const std::string& name) {
  std::string key = name.substr(name.find_last_of('/') + 1);
  std::transform(key.begin(), key.end(), key.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  constexpr std::string_view kMeta = "meta-";
  if (key.starts_with(kMeta)) key.erase(0, kMeta.size());
  for (bool shorter = true; shorter;) {
    shorter = false;
    for (const std::string_view suffix : kSuffixes) {
      if (!key.ends_with(suffix)) continue;
      key.erase(key.size() - suffix.size());
      shorter = true;
    }
  }
  for (const auto& [other, entry] : kSameShape) {
    if (key == other) key = entry;
  }
  return key;
}

}  // namespace

std::optional<Model> find_measured_model(const std::string& name, const Catalogue& catalogue) {
  std::filesystem::path config = name;
  if (std::filesystem::is_directory(config)) config /= "config.json";
  if (config.extension() == ".json" && std::filesystem::is_regular_file(config))
    return parse_hf_config(read_text_file(config, config.string()), config.string()).model;
  const auto entry = catalogue.models.find(key_of(name));
  if (entry == catalogue.models.end()) return std::nullopt;
  return entry->second;
}

}  // namespace lindos::sim
