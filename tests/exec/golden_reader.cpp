// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/golden_reader.h"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace lindos::exec::golden {
namespace {

std::vector<std::filesystem::path> folders(const char* kind) {
  const auto root = std::filesystem::path(LINDOS_SOURCE_DIR) / "tests" / "exec" / "golden" / kind;
  std::vector<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    if (entry.is_directory()) found.push_back(entry.path());
  }
  if (found.empty()) throw std::runtime_error(root.string() + ": no golden data");
  std::sort(found.begin(), found.end());
  return found;
}

nlohmann::json read_expected(const std::filesystem::path& folder) {
  std::ifstream file(folder / "expected.json");
  return nlohmann::json::parse(file);
}

}  // namespace

std::vector<ModelGolden> read_model_goldens() {
  std::vector<ModelGolden> all;
  for (const auto& folder : folders("models")) {
    const nlohmann::json expected = read_expected(folder);
    ModelGolden golden{expected.at("model"), folder, {}};
    for (const nlohmann::json& entry : expected.at("cases")) {
      ModelCase one;
      entry.at("prompt").get_to(one.prompt);
      entry.at("last_logits").get_to(one.last_logits);
      if (entry.contains("all_logits")) entry.at("all_logits").get_to(one.all_logits);
      entry.at("greedy").get_to(one.greedy);
      entry.at("top2_gaps").get_to(one.top2_gaps);
      golden.cases.push_back(std::move(one));
    }
    all.push_back(std::move(golden));
  }
  return all;
}

std::vector<TokenizerGolden> read_tokenizer_goldens() {
  std::vector<TokenizerGolden> all;
  for (const auto& folder : folders("tokenizers")) {
    const nlohmann::json expected = read_expected(folder);
    TokenizerGolden golden{expected.at("tokenizer"), folder / "tokenizer.json", {}};
    for (const nlohmann::json& entry : expected.at("cases")) {
      golden.cases.push_back({entry.at("text"), entry.at("ids"), entry.at("plain_ids"),
                              entry.at("decoded"), entry.at("decoded_plain")});
    }
    all.push_back(std::move(golden));
  }
  return all;
}

}  // namespace lindos::exec::golden
