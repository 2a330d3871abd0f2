// SPDX-License-Identifier: Apache-2.0
// Power of a serving fleet whose devices are held to limits. A node at rest draws its idle power; a device that serves
// adds what it draws above its own idle power, at most its limit, and its part of what the host draws in heavy work. So
// the sum over all limits holds for any traffic and any instant. Before cooling, unless said otherwise.
//
// The control that is modelled: every device has one limit that never changes and enforces it itself, step by step, as a
// board's power limit does. The site's cap leaves every device of the plan the same share of its dynamic power.
#pragma once

#include <map>
#include <string>

#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

// Of one node of the pool, nothing served.
[[nodiscard]] Watts node_idle(const Scenario& scenario, const Pool& pool);
// Of all nodes, nothing served.
[[nodiscard]] Watts idle_power(const Scenario& scenario);
// What one device's part of the host adds to node_idle while the device works.
[[nodiscard]] Watts host_added_per_device(const Scenario& scenario, const Pool& pool);
// What one device of the pool adds to idle_power at most under this limit, its part of the host included.
[[nodiscard]] Watts added_per_device(const Scenario& scenario, const Pool& pool, Watts limit);
// The limit that leaves a device this share of the dynamic power that own_limit leaves it.
[[nodiscard]] Watts limit_at_share(const Scenario& scenario, const Pool& pool, double share);
// What the site's cap leaves above idle_power; at most 0 when it leaves nothing. REQUIRES: a site cap.
[[nodiscard]] Watts added_budget(const Scenario& scenario);
// At the meter.
[[nodiscard]] Watts metered(const Scenario& scenario, Watts added);

// Of the pools that the plan takes devices from: what each of these may draw. Throws Error{kInfeasible} where a cap leaves
// less than kLeastDynamicShare of a device's dynamic power.
[[nodiscard]] std::map<std::string, Watts> serving_limits(const Scenario& scenario);

}  // namespace lindos::sim
