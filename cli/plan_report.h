// SPDX-License-Identifier: Apache-2.0
// The planner's answer as text, JSON and plan files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/planner/plan_training.h"

namespace lindos::cli {

[[nodiscard]] std::string render(const sim::TrainingAnswer& answer, sim::TrainingObjective objective);
// {"scenario_name", "scenario_digest", "objective", "unit", "plans": [PLAN], "baselines": [PLAN], "searched": {"shapes",
// "priced", "whole_plans", "screening_error"}, "pruned": [{"reason", "count", "example"}]}; PLAN is the run record's
// object with "name", "changes", "file" (null unless written), "objective", "power_w", "groups", "gains": [{"over",
// "gain", "p10", "p90"}].
[[nodiscard]] std::string to_json(const sim::TrainingAnswer& answer, sim::TrainingObjective objective,
                                  const Scenario& scenario, const std::vector<std::string>& files);

// For each plan `plan-N.json`, and `plan-N.toml` with the scenario that it belongs to. Returns the names of the plan
// files. Throws Error{kEnvironment}.
[[nodiscard]] std::vector<std::string> write_plans(const sim::TrainingAnswer& answer,
                                                   const std::filesystem::path& folder);

}  // namespace lindos::cli
