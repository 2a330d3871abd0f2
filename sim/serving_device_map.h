// SPDX-License-Identifier: Apache-2.0
// What a prediction of serving says about single GPUs: where the replicas of each group sit, what each of their devices
// may draw, and what it draws over the run:
//   power of a device of group g in pool p = (idle of g's devices there + what their work adds / time of the run) / their number
// with both taken over one replica, the mean of the simulated ones, as sim/fleet_outcome.h has the power of all. Over all
// devices of the plan it sums to the metric power_w. What a replica on several pools adds is shared out as what its devices
// may add, as in sim/fleet_power.h. A device that the plan leaves draws what its catalogue says it does idle.
#pragma once

#include <optional>
#include <vector>

#include "scenarios/device_map.h"
#include "scenarios/scenario.h"
#include "sim/fleet.h"
#include "sim/fleet_outcome.h"

namespace lindos::sim {

// Nothing for a fleet of hosts, whose ranks may share a device. REQUIRES: a simulated replica of every group.
[[nodiscard]] std::optional<DeviceMap> serving_device_map(const Scenario& scenario, const Fleet& fleet,
                                                          const std::vector<ReplicaOutcome>& replicas);

}  // namespace lindos::sim
