// SPDX-License-Identifier: Apache-2.0
// What each cause costs and what would recover it, as text, JSON and plan files.
#pragma once

#include <filesystem>
#include <string>

#include "sim/training/predict_training.h"

namespace lindos::cli {

[[nodiscard]] std::string render(const sim::Explanation& explanation);
// The record's object with "restored": [{"cause", "gain", "p10", "p90"}] and "mitigations": [{"name", "what", "cost",
// "refused", "gain", "p10", "p90", "mfu", "steady_mfu", "plans": [names]}]; gains are shares of the peak.
[[nodiscard]] std::string to_json(const sim::Explanation& explanation);
// One file per plan, named after the mitigation. Returns how many. Throws Error{kEnvironment}.
int write_plans(const sim::Explanation& explanation, const std::filesystem::path& folder);

}  // namespace lindos::cli
