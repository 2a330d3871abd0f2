// SPDX-License-Identifier: Apache-2.0
// Shapes of models that training results are published for, by the names their tables use: "GPT
// 175B", "LLAMA2-70B", "MPT-13b", "FT:LLAMA2-7B LoRA". Case, "_", "-" and spaces do not matter.
// Shapes for pricing only: positions, norms' epsilon and end tokens are not filled in.
#pragma once

#include <optional>
#include <string>

#include "scenarios/model.h"
#include "scenarios/scenario.h"

namespace lindos::sim {

struct PublishedModel {
  Model model;
  bool finetuned = false;  // "FT:": short examples packed into sequences
  bool adapters = false;   // "LoRA": the weights themselves are frozen
};

// From the table below, or from the catalogue (its entries' names are the HF configs'). Nothing
// when neither has the name.
[[nodiscard]] std::optional<PublishedModel> find_published_model(const std::string& name,
                                                                 const Catalogue& catalogue);

}  // namespace lindos::sim
