// SPDX-License-Identifier: Apache-2.0
// Hugging Face config.json → Model. Accepts the Llama family (Llama, Mistral, Qwen2, Qwen3, SmolLM),
// Mixtral, Qwen3-MoE, DeepSeek-V3/R1, Kimi-K2 and gpt-oss shapes. Unsupported values are refused by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scenarios/model.h"

namespace lindos {

struct HfConfig {
  Model model;
  std::vector<std::string> unknown_keys;   // reported, not fatal
  std::string quantization;                // quant_method of a quantised checkpoint; empty = none
};

// Throws Error{kInput} with "file: /json/pointer: …".
[[nodiscard]] HfConfig parse_hf_config(std::string_view text, const std::string& where);

}  // namespace lindos
