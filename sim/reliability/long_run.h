// SPDX-License-Identifier: Apache-2.0
// One simulated run of a training job over weeks: failures, the nodes they take, spares, repairs,
// restarts. An event is a failure or a repair, never a step or a save, so that a month of 220,000
// GPUs is some thousand events. Time is a whole number of microseconds, and random numbers are a
// pure function of (seed, draw, event): a run is the same on every platform.
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/units.h"
#include "sim/reliability/goodput.h"
#include "sim/reliability/reliability_input.h"

namespace lindos::sim {

struct LongRun {
  TimeShares shares;                        // of horizon × replicas
  std::vector<std::int64_t> interruptions;  // by source of the failure process
};

// `interval` as from interval_in_steps. The run begins with repairs under way as in the long run.
[[nodiscard]] LongRun simulate_long_run(const ReliabilityInput& input, Seconds interval,
                                        std::uint64_t seed, std::uint32_t draw);

}  // namespace lindos::sim
