// SPDX-License-Identifier: Apache-2.0
// What power limits do to a training job: a cap per device, and a cap of the site that all nodes in heavy work
// together would exceed. Under a cap c the clock falls to f = f0 ((c − idle) / (P − idle))^(1/k) and with it the rate
// of arithmetic; memory keeps its pace (modelling handbook §8.3).
#pragma once

#include <string>

#include "scenarios/scenario.h"
#include "scenarios/units.h"
#include "sim/training/time_split.h"

namespace lindos::sim {

// One node of the pool in heavy work under the device cap, before cooling.
[[nodiscard]] Watts node_demand(const Scenario& scenario, const Pool& pool);

// At the meter, all nodes in heavy work and no cap per device but the scenario's.
[[nodiscard]] Watts site_demand(const Scenario& scenario);

// Power that one device of the pool may take: the least of its own maximum, the device cap, and the even part of what
// the site cap leaves after hosts and cooling.
[[nodiscard]] Watts device_limit(const Scenario& scenario, const Pool& pool);

// Relative clock of a device that may take `limit`, in (0, 1]. REQUIRES: limit > 0.
[[nodiscard]] double clock_under(const Device& device, Watts limit);

// The limit that gives a device this relative clock: the inverse of clock_under above its lowest clock.
[[nodiscard]] Watts limit_for(const Device& device, double clock);

// The same passes at that clock: arithmetic takes 1/clock as long, the extra is booked as power cap.
[[nodiscard]] TimeSplit at_clock(const TimeSplit& split, double clock);

}  // namespace lindos::sim
