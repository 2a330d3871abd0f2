// SPDX-License-Identifier: Apache-2.0
// Time to first token and per output token of a described row. Aggregated: its clients in a closed loop through the
// shared scheduler. Disaggregated: the decode replica with prompts that cost nothing there, and the clients' way through the
// queue of the prefill replicas and back.
#pragma once

#include <map>
#include <string>

#include "scenarios/profile.h"
#include "scenarios/units.h"
#include "sim/serving/measured_scenario.h"

namespace lindos::sim {

struct PredictedPoint {
  Seconds ttft{0};  // means over requests
  Seconds tpot{0};  // 0 with one output token
};

// The profile without its host times, for which the engine's stand here.
[[nodiscard]] Profile kernels_only(Profile profile);

// `profiles` by device name, kernels only; a device without one is priced from its datasheet. Throws
// Error{kInfeasible} when the model or its requests do not fit, or an op has no price.
[[nodiscard]] PredictedPoint predict_point(const MeasuredScenario& described,
                                           const std::map<std::string, Profile>& profiles);

}  // namespace lindos::sim
