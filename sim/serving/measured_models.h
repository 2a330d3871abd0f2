// SPDX-License-Identifier: Apache-2.0
// Models by the names that tables of measurements use: "nvidia/Llama-3.1-8B-Instruct-FP8" is the shape of the
// catalogue's llama-3.1-8b. Owner, case and what a name says of tuning or number format do not matter.
#pragma once

#include <optional>
#include <string>

#include "scenarios/model.h"
#include "scenarios/scenario.h"

namespace lindos::sim {

// A catalogue entry, or the config.json that `name` is a path to (the file, or its folder). Nothing when it is neither.
// Throws Error{kInput} for a broken config.
[[nodiscard]] std::optional<Model> find_measured_model(const std::string& name, const Catalogue& catalogue);

}  // namespace lindos::sim
