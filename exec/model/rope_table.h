// SPDX-License-Identifier: Apache-2.0
// cos and sin of the rotary angles for positions [0, positions): tables [positions][rotary_dim / 2], f32.
// Kinds default, linear, llama3 and yarn as Hugging Face defines them; dynamic equals default up to the
// trained context, and longer contexts are refused by name.
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/model.h"

namespace lindos::exec {

struct RopeTable {
  std::int64_t positions = 0;
  std::int64_t half = 0;           // head_dim / 2
  double attention_scale = 1.0;    // yarn multiplies the logits by its square; folded into cos and sin
  std::vector<float> cos;
  std::vector<float> sin;
};

// Throws Error{kInput} when `positions` exceeds what the scaling kind supports.
[[nodiscard]] RopeTable make_rope_table(const Model& model, std::int64_t positions);

}  // namespace lindos::exec
