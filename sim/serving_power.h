// SPDX-License-Identifier: Apache-2.0
// Power of a serving fleet whose devices are held to limits (sim/power_limit.h). A node at rest draws its idle power; a
// device that serves adds what it draws above its own idle power, at most its limit, and its part of what the host draws in
// heavy work. So the sum over all limits holds for any traffic and any instant. Before cooling, unless said otherwise.
#pragma once

#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

// What one device of the pool adds to idle_power at most under this limit, its part of the host included.
[[nodiscard]] Watts added_per_device(const Scenario& scenario, const Pool& pool, Watts limit);
// The limit that leaves a device this share of the dynamic power that it has under the limit `most`; in whole watts, as
// boards are set, where it is below.
[[nodiscard]] Watts limit_at_share(const Scenario& scenario, const Pool& pool, Watts most, double share);
// At the meter.
[[nodiscard]] Watts metered(const Scenario& scenario, Watts added);

}  // namespace lindos::sim
