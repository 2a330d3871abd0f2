// SPDX-License-Identifier: Apache-2.0
// The planner's answer for a serving fleet as text, JSON and plan files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "sim/planner/plan_serving.h"

namespace lindos::cli {

[[nodiscard]] std::string render(const sim::ServingAnswer& answer, const Scenario& scenario,
                                 const sim::ServingQuestion& question);
// {"scenario_name", "scenario_digest", "objective", "plans": [PLAN], "baselines": [PLAN], "pareto": [{"tokens_per_s_user",
// "tokens_per_s_device", "p10", "p90", "tokens_per_s_megawatt", "dollars_per_million_tokens", "shapes"}], "searched": {"shapes",
// "points", "verified"}, of a few devices {"plans", "plans_simulated"}, "pruned": [{"reason", "count", "example"}]}; PLAN is {"name", "file", "plan_digest", "requests_per_s", "p10", "p90", "output_tokens_per_s",
// "without_node" and "without_rack": {"requests_per_s", "p10", "p90"}, "power_w", "objective", "groups": [{"name", "what", "role", "replicas", "device_limit_w", "screened_rate", "rate",
// "ttft_s", "tpot_s"}], "gains": [{"over", "gain", "p10", "p90"}]}.
[[nodiscard]] std::string to_json(const sim::ServingAnswer& answer, const Scenario& scenario,
                                  const sim::ServingQuestion& question, const std::vector<std::string>& files);

// For each plan `plan-N.json`, and `plan-N.toml` with the scenario that holds it. Returns the plan files' names. Throws
// Error{kEnvironment}.
[[nodiscard]] std::vector<std::string> write_plans(const sim::ServingAnswer& answer,
                                                   const std::filesystem::path& folder);

}  // namespace lindos::cli
