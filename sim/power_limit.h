// SPDX-License-Identifier: Apache-2.0
// Power limits: a cap per device or rack, and a cap of the site that all nodes in heavy work together would exceed.
// Under a cap c the clock falls to f = f0 ((c − idle) / (P − idle))^(1/k) and with it the rate of arithmetic; memory
// keeps its pace (modelling handbook §8.3). What limits do to training: sim/training/time_split.h; those of serving:
// sim/serving_power.h.
//
// The control that is modelled: every device has one limit that never changes and enforces it itself, step by step, as a
// board's power limit does. The site's cap leaves every device that counts as working the same share of its dynamic power.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

// Everything in a node but its devices, in heavy work.
[[nodiscard]] Watts host_power(const Scenario& scenario, const Pool& pool);

// Power that one device of the pool may take whatever the site does: the least of its own maximum, the device cap, and
// its even part of what the rack cap leaves after the hosts of a full rack. Below idle power where that leaves less.
[[nodiscard]] Watts own_limit(const Scenario& scenario, const Pool& pool);
// The same of a device that works for the group: no more than the group's power limit.
[[nodiscard]] Watts own_limit(const Scenario& scenario, const Pool& pool, const GroupPlan& group);

// Of one node of the pool, nothing computed.
[[nodiscard]] Watts node_idle(const Scenario& scenario, const Pool& pool);
// Of all nodes, nothing computed.
[[nodiscard]] Watts idle_power(const Scenario& scenario);
// What one device's part of the host adds to node_idle while the device works.
[[nodiscard]] Watts host_added_per_device(const Scenario& scenario, const Pool& pool);
// What the site's cap leaves above idle_power; at most 0 when it leaves nothing. REQUIRES: a site cap.
[[nodiscard]] Watts added_budget(const Scenario& scenario);

// What devices that the plan leaves do meanwhile. A serving plan is the whole use of its site. A training job is one of
// several on a shared site, and its search prices layers before it is known which devices a plan takes.
enum class OtherDevices { kRest, kWork };

struct DeviceLimits {
  std::vector<std::map<std::string, Watts>> groups;  // [group of the plan], by pool: of each of its devices there
  std::map<std::string, Watts> others;               // by pool: of each device that the plan leaves, where these work
};

// What each device may draw: its own limit, less an equal share of its dynamic power where the site's cap does not hold all
// that work at their limits. Throws Error{kInfeasible} where a cap leaves less than kLeastDynamicShare of a device's dynamic
// power.
[[nodiscard]] DeviceLimits device_limits(const Scenario& scenario, OtherDevices others);
// Of the devices that the plan uses, each at its limit, with their parts of hosts in heavy work; at the meter. REQUIRES: limits of
// this plan.
[[nodiscard]] Watts plan_power(const Scenario& scenario, const DeviceLimits& limits);

// Relative clock at which work draws this share of the dynamic power that it draws at full clock. REQUIRES: share in (0, 1].
[[nodiscard]] double clock_of_share(double share);

// Relative clock of a device that may take `limit`, in (0, 1]. REQUIRES: limit > 0.
[[nodiscard]] double clock_under(const Device& device, Watts limit);

}  // namespace lindos::sim
