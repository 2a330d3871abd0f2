// SPDX-License-Identifier: Apache-2.0
// The event-level rung of serving: the driver (first stage) and each further stage are SimGrid
// actors; activations and sampled ids are flows that share links. Without contention it agrees with
// the max-plus rung. Centre of the uncertainty only.
#pragma once

#include <vector>

#include "exec/scheduler/limits.h"
#include "scenarios/hardware.h"
#include "scenarios/workload.h"
#include "sim/platform.h"
#include "sim/replica_model.h"
#include "sim/serving_run.h"

namespace lindos::sim {

// Devices of the replica's stages as the platform wants them: the first rank of each stage stands
// for it.
[[nodiscard]] std::vector<PlatformDevice> stage_devices(
    const GroupPlan& group, const ReplicaModel& replica,
    const std::map<std::string, ProfiledDevice>& devices_by_pool,
    const std::map<std::string, int>& devices_per_node_by_pool);

// At most once per process: wrap in run_isolated. `stages` as from stage_devices. Errors as
// serve_maxplus.
[[nodiscard]] ServingRun serve_simgrid(ReplicaModel& replica, const Fabric& fabric,
                                       const std::vector<PlatformDevice>& stages,
                                       const scheduler::Limits& limits,
                                       const std::vector<RequestSpec>& requests);

// The same in a child process; may be called any number of times. `cancelled` as in run_isolated.
[[nodiscard]] ServingRun serve_simgrid_isolated(ReplicaModel& replica, const Fabric& fabric,
                                                const std::vector<PlatformDevice>& stages,
                                                const scheduler::Limits& limits,
                                                const std::vector<RequestSpec>& requests,
                                                const std::function<bool()>& cancelled = {});

}  // namespace lindos::sim
