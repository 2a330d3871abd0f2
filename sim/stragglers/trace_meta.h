// SPDX-License-Identifier: Apache-2.0
// The degrees of parallelism beside a recorded trace: "key: value" lines (a subset of YAML) with
// the keys of ByteDance-Seed/StragglerAnalysis:
//   trial_name, run_id, dp_size, dsp_size, pp_size, tp_size, vpp_size, world_size
// Absent sizes are 1; a world_size must be their product without vpp_size.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sim/stragglers/straggler_trace.h"

namespace lindos::sim {

// Throws Error{kInput} at `where`:line for another key, a size that is no positive integer, and
// sizes that contradict each other.
[[nodiscard]] TraceDegrees parse_trace_meta(std::string_view text, const std::string& where);

// meta-X.yaml in the folder of trace-X.csv or trace-X.csv.gz, when there is one.
[[nodiscard]] std::optional<std::filesystem::path> find_trace_meta(
    const std::filesystem::path& trace);

}  // namespace lindos::sim
