// SPDX-License-Identifier: Apache-2.0
// A measured run as spans: its steps as the driver saw them (start to sampled tokens, prompts and decodes in them) and its
// first requests, in the words of a predicted timeline, so that the two can be laid one below the other.
#pragma once

#include <cstddef>

#include "exec/runner/replica.h"
#include "scenarios/run_timeline.h"

namespace lindos::exec {

// So many spans are kept at most, those that start first; what is left out is said. As JSON about 1 MB, which the store
// keeps with every measured run.
inline constexpr std::size_t kMostMeasuredSpans = 6000;

// Of the repeat with the median wall time. The caller fills names, digests and seed. REQUIRES: at least one run.
[[nodiscard]] RunTimeline measured_timeline(const std::vector<EngineRun>& runs, std::size_t stages);

}  // namespace lindos::exec
