// SPDX-License-Identifier: Apache-2.0
// How the first requests of one replica of each group are served: a lane for each request (queue,
// prefill, decode) and one for each pipeline stage (steps, sends). Timed by the max-plus rung,
// which serves all requests of that replica.
#pragma once

#include <vector>

#include "scenarios/run_timeline.h"
#include "scenarios/scenario.h"
#include "scenarios/workload.h"
#include "sim/fleet.h"
#include "sim/predict.h"

namespace lindos::sim {

// `requests`: [group], of one replica each, in order of arrival (FleetSampling::one_replica_each).
// The caller fills profile_digest.
[[nodiscard]] RunTimeline serving_timeline(Fleet& fleet, const Scenario& scenario,
                                           const std::vector<std::vector<RequestSpec>>& requests,
                                           const PredictOptions& options);

}  // namespace lindos::sim
