// SPDX-License-Identifier: Apache-2.0
// What each cause costs and what would recover it, as text, JSON and scenario files.
#pragma once

#include <filesystem>
#include <string>

#include "sim/training/predict_training.h"

namespace lindos::cli {

[[nodiscard]] std::string render(const sim::Explanation& explanation);
// The record's object with "restored": [{"cause", "gain", "p10", "p90"}] and "mitigations": [{"name", "what", "cost",
// "refused", "gain", "p10", "p90", "mfu", "steady_mfu", "scenarios": [file names]}]; gains are shares of the peak.
[[nodiscard]] std::string to_json(const sim::Explanation& explanation);
// For each mitigation a scenario that holds everything, and its plan alone beside it (.json). Returns how many scenarios.
// Throws Error{kEnvironment}.
int write_scenarios(const sim::Explanation& explanation, const std::filesystem::path& folder);

}  // namespace lindos::cli
