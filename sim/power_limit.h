// SPDX-License-Identifier: Apache-2.0
// Power limits: a cap per device or rack, and a cap of the site that all nodes in heavy work together would exceed.
// Under a cap c the clock falls to f = f0 ((c − idle) / (P − idle))^(1/k) and with it the rate of arithmetic; memory
// keeps its pace (modelling handbook §8.3). What limits do to training: sim/training/time_split.h; those of serving:
// sim/serving_power.h.
#pragma once

#include <string>

#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

// assume: a device that is starved below this share of its dynamic power stops being useful.
inline constexpr double kLeastDynamicShare = 0.05;

// Everything in a node but its devices, in heavy work.
[[nodiscard]] Watts host_power(const Scenario& scenario, const Pool& pool);

// Power that one device of the pool may take whatever the site does: the least of its own maximum, the device cap, and
// its even part of what the rack cap leaves after the hosts of a full rack. Below idle power where that leaves less.
[[nodiscard]] Watts own_limit(const Scenario& scenario, const Pool& pool);

// One node of the pool in heavy work under the device and rack caps, before cooling.
[[nodiscard]] Watts node_demand(const Scenario& scenario, const Pool& pool);

// At the meter, all nodes in heavy work under these caps.
[[nodiscard]] Watts site_demand(const Scenario& scenario);

// Power that one device of the pool may take: the least of own_limit and the even part of what the site cap leaves after
// hosts and cooling.
[[nodiscard]] Watts device_limit(const Scenario& scenario, const Pool& pool);

// Relative clock at which work draws this share of the dynamic power that it draws at full clock. REQUIRES: share in (0, 1].
[[nodiscard]] double clock_of_share(double share);

// Relative clock of a device that may take `limit`, in (0, 1]. REQUIRES: limit > 0.
[[nodiscard]] double clock_under(const Device& device, Watts limit);

}  // namespace lindos::sim
