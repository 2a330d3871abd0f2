// SPDX-License-Identifier: Apache-2.0
// How the first requests of one replica of each group are served: a lane for each request (queue, prefill, decode) and
// one for each pipeline stage (steps, sends). Timed by the max-plus rung, which serves all requests of that replica.
#pragma once

#include "scenarios/run_timeline.h"
#include "scenarios/scenario.h"
#include "sim/fleet.h"
#include "sim/fleet_traffic.h"
#include "sim/predict.h"

namespace lindos::sim {

// The replica of a group is the first sampled one that has requests. The caller fills profile_digest.
[[nodiscard]] RunTimeline serving_timeline(Fleet& fleet, const Scenario& scenario, const FleetTraffic& traffic,
                                           const PredictOptions& options);

}  // namespace lindos::sim
