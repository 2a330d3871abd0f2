// SPDX-License-Identifier: Apache-2.0
// Token distributions of a trace, to generate requests like its own at other rates.
#pragma once

#include <filesystem>

#include "scenarios/workload.h"

namespace lindos {

struct TraceLengths {
  LengthRange prompt;
  LengthRange output;
};

// 65 quantiles of each; prompt and output are then drawn apart, which loses how they hang together. Throws as
// scan_trace.
[[nodiscard]] TraceLengths fit_lengths(const std::filesystem::path& path, TraceFormat format);

}  // namespace lindos
