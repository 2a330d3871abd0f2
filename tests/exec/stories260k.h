// SPDX-License-Identifier: Apache-2.0
// The stories260K checkpoint in llama2.c's layout, as a Checkpoint with Hugging Face names. It lies in the shared
// reference folder beside the source tree and is never committed: its licence is unstated. Tests skip without it.
//   int32 × 7: hidden, ffn, layers, heads, KV heads, vocabulary (positive: tied embeddings), positions; then f32:
//   embedding, attention norms, Wq, Wk, Wv, Wo, FFN norms, W1 (gate), W2 (down), W3 (up), last norm, RoPE tables.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "scenarios/model.h"

namespace lindos::exec::golden {

struct Stories260k {
  Model model;
  std::unique_ptr<Checkpoint> checkpoint;
  std::vector<std::string> vocabulary;       // by id; 1 begins a text, 2 ends it
  std::string expected_text;                 // greedy, 200 positions from token 1, as the reference printed it

  // Text of the ids that follow token 1: byte tokens become bytes, the first blank of the text is dropped.
  [[nodiscard]] std::string decode(const std::vector<std::int32_t>& ids) const;
};

// nullopt when the reference folder is absent; throws std::runtime_error when a file is not what it should be.
[[nodiscard]] std::optional<Stories260k> find_stories260k();
// Where it was looked for: for the message of a skipped test.
[[nodiscard]] std::string stories260k_folder();

}  // namespace lindos::exec::golden
