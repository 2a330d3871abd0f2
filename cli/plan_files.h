// SPDX-License-Identifier: Apache-2.0
// What the answers for training and serving share: plan files, gains over baselines, reasons for leaving plans out.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "scenarios/scenario.h"
#include "sim/planner/plan_gain.h"
#include "sim/planner/pruned.h"

namespace lindos::cli {

// For each scenario its plan as `plan-N.json` and itself as `plan-N.toml`. Returns the plan files' names. Throws
// Error{kEnvironment}.
[[nodiscard]] std::vector<std::string> write_plan_files(const std::vector<const Scenario*>& scenarios,
                                                        const std::filesystem::path& folder);

// Of the best plan; empty without baselines.
[[nodiscard]] std::string gains_table(const std::vector<sim::PlanGain>& gains);
// One indented paragraph per reason; no line end after the last.
[[nodiscard]] std::string pruned_text(const sim::Pruned& pruned, std::size_t width);

// [{"over", "gain", "p10", "p90"}] and [{"reason", "count", "example"}].
[[nodiscard]] nlohmann::ordered_json json_of(const std::vector<sim::PlanGain>& gains);
[[nodiscard]] nlohmann::ordered_json json_of(const sim::Pruned& pruned);

}  // namespace lindos::cli
