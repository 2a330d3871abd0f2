// SPDX-License-Identifier: Apache-2.0
// Published results of the what-if method beside ours: the result-*, mw-* and ms-*.json files of
// ByteDance-Seed/StragglerAnalysis. Relative errors go into a ValidationReport; what a file expects and the
// trace does not have becomes a miss.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "scenarios/validation_report.h"
#include "sim/stragglers/what_if.h"

namespace lindos::cli {

struct ExpectedValue {
  std::string group;  // "job", "dp_rank", "stage", "optype", "recovery"
  std::string name;   // "slowdown", "0", "forward-compute", "M_W"
  double expected = 0.0;
  double computed = 0.0;
};

// Compares with one file, whose kind its keys tell. Slowdowns go to the metric "slowdown", step times to
// "what_if_step_time_s"; both also cover the values of single steps, which the returned list leaves out.
// Throws Error{kInput} with the place for a file of another kind.
[[nodiscard]] std::vector<ExpectedValue> compare_with_expected(const std::filesystem::path& file,
                                                               const sim::StragglerTrace& trace,
                                                               const sim::WhatIf& result, ValidationReport& report);

}  // namespace lindos::cli
