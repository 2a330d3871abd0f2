// SPDX-License-Identifier: Apache-2.0
// What the subverbs of `lindos validate` share: one registering function each, and the error statistics of a
// ValidationReport as table and JSON.
#pragma once

#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "scenarios/validation_report.h"

namespace lindos::cli {

// Per metric the statistics of all rows and of each family, then coverage and the misses counted by reason.
[[nodiscard]] std::string render_validation(const ValidationReport& report);
// {"rows", "covered", "metrics": {METRIC: STATISTICS}, "groups": {FAMILY: {METRIC: STATISTICS}},
//  "misses": [{"row", "reason"}]}; STATISTICS: n, median_ape, mape, p90_ape, max_ape, bias, interval_coverage (or null).
[[nodiscard]] nlohmann::ordered_json validation_json(const ValidationReport& report);

// Each adds its subcommand to `lindos validate`, with add_common(…, false).
void add_validate_operators(CLI::App& validate);
void add_validate_serving(CLI::App& validate);
void add_validate_stragglers(CLI::App& validate);
void add_validate_training(CLI::App& validate);

}  // namespace lindos::cli
