// SPDX-License-Identifier: Apache-2.0
// The golden data of tests/exec/golden, made by tools/make_golden.py, as structs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace lindos::exec::golden {

struct ModelCase {
  std::vector<std::int32_t> prompt;
  std::vector<float> last_logits;                // [vocab], of the last prompt position
  std::vector<std::vector<float>> all_logits;    // [prompt][vocab]; empty for most cases
  std::vector<std::int32_t> greedy;              // continuation
  std::vector<float> top2_gaps;                  // per greedy step: best minus second-best logit
};

struct ModelGolden {
  std::string name;
  std::filesystem::path folder;                  // holds config.json and model.safetensors (f32)
  std::vector<ModelCase> cases;
};

struct TokenizerCase {
  std::string text;
  std::vector<std::int32_t> ids;                 // with special tokens
  std::vector<std::int32_t> plain_ids;           // without
  std::string decoded;                           // of ids, special tokens kept
  std::string decoded_plain;                     // of ids, special tokens left out
};

struct TokenizerGolden {
  std::string name;
  std::filesystem::path file;                    // tokenizer.json
  std::vector<TokenizerCase> cases;
};

// Sorted by name. Throw std::exception when the data is absent or malformed.
[[nodiscard]] std::vector<ModelGolden> read_model_goldens();
[[nodiscard]] std::vector<TokenizerGolden> read_tokenizer_goldens();

}  // namespace lindos::exec::golden
