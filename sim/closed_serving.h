// SPDX-License-Identifier: Apache-2.0
// The closed rung of serving: mean field instead of events. All requests have the mean prompt and
// output length; decode steps run at the mean batch, contexts are integrated by Simpson's rule.
// Exact up to rounding of that mean when all requests are equal, arrive together, and their prompts
// fit one step.
//
//   together: waves of as many requests as fit; K prompt steps, then output − 1 decode steps.
//   closed loop: such waves of at most as many requests as there are clients.
//   rate:     batch b from Little's law, b = rate × (output − 1) × step(b); beyond saturation as
//   together. pipeline: P micro-batches; a round takes max(Σ stages, P × slowest stage).
//
// With prefix reuse every repeated beginning is a hit (nothing is evicted, nobody comes too early); memory is counted as
// if nothing were shared.
#pragma once

#include <vector>

#include "exec/scheduler/limits.h"
#include "scenarios/workload.h"
#include "sim/replica_model.h"
#include "sim/serving_run.h"

namespace lindos::sim {

// Same result type as the event rungs; token times are evenly spaced. REQUIRES: requests not empty,
// sorted by arrival. Throws Error{kInfeasible} when not even one mean request fits the KV blocks.
[[nodiscard]] ServingRun serve_closed(ReplicaModel& replica, const scheduler::Limits& limits,
                                      const std::vector<RequestSpec>& requests);

}  // namespace lindos::sim
