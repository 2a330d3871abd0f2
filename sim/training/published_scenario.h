// SPDX-License-Identifier: Apache-2.0
// The scenario that a published row describes, so that `lindos validate training` prices it exactly
// as `lindos predict` prices any other. What a row leaves out its source's software decides
// (Megatron-LM 2021 and 2022, llm-foundry, NeMo, Megatron-Bridge: flags from their configurations);
// every such decision is listed as an assumption of the row.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/training/published_rows.h"

namespace lindos::sim {

struct PublishedScenario {
  Scenario scenario;
  std::vector<std::string> assumptions;
};

// Why a row cannot be predicted: equal reasons read alike, so that they can be counted.
struct PublishedMiss {
  std::string reason;
};

// A miss: a GPU, model, number format or software that is not known, degrees that do not multiply
// to the row's GPUs or do not divide the model.
[[nodiscard]] std::variant<PublishedScenario, PublishedMiss> published_scenario(
    const PublishedRow& row, const Catalogue& catalogue);

}  // namespace lindos::sim
