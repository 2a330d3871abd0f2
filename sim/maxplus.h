// SPDX-License-Identifier: Apache-2.0
// The max-plus rung of serving: a step enters stage s at max(stage free, batch arrived), occupies
// it for its compute and its send, and leaves the last stage with the sampled ids. Links are never
// shared. Microseconds per step; the rung that Monte Carlo runs.
#pragma once

#include <functional>
#include <vector>

#include "exec/scheduler/limits.h"
#include "scenarios/workload.h"
#include "sim/replica_model.h"
#include "sim/serving_run.h"

namespace lindos::sim {

// Serves `requests` (sorted by arrival) to the end on a virtual clock that starts at 0. Throws
// Error{kInfeasible} for a request that can never run, Error{kCancelled} when `cancelled` says so.
[[nodiscard]] ServingRun serve_maxplus(ReplicaModel& replica, const scheduler::Limits& limits,
                                       const std::vector<RequestSpec>& requests, const Draw& draw,
                                       const std::function<bool()>& cancelled = {});

}  // namespace lindos::sim
