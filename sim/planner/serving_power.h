// SPDX-License-Identifier: Apache-2.0
// Power of a serving fleet whose devices are held to limits: a device that serves counts with its limit and its part
// of the host in heavy work, the rest of its node idles. Before cooling, unless said otherwise.
#pragma once

#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

// Of all nodes, nothing served.
[[nodiscard]] Watts idle_power(const Scenario& scenario);
// What one device of the pool adds to that at this relative clock.
[[nodiscard]] Watts added_per_device(const Scenario& scenario, const Pool& pool, double clock);
// What the site's cap leaves above idle_power; at most 0 when it leaves nothing. REQUIRES: a site cap.
[[nodiscard]] Watts added_budget(const Scenario& scenario);
// At the meter.
[[nodiscard]] Watts metered(const Scenario& scenario, Watts added);

}  // namespace lindos::sim
