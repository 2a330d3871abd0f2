// SPDX-License-Identifier: Apache-2.0
// The front of throughput against pace: what the fleet gives at most at each pace for a user, as screened, with the interval
// of the draws that plans have.
#pragma once

#include <vector>

#include "sim/planner/plan_serving.h"
#include "sim/planner/serving_screen.h"
#include "sim/planner/serving_task.h"
#include "sim/planner/serving_verification.h"

namespace lindos::sim {

// One point per pace that any shapes keep, slowest first; throughput does not rise. Throws Error{kCancelled}.
[[nodiscard]] std::vector<ParetoPoint> pareto_front(const ServingTask& task, const ServingVerification& verification,
                                                    ServingScreen& screened);

}  // namespace lindos::sim
