// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_power.h"

#include <cmath>

#include "sim/power_limit.h"

namespace lindos::sim {

Watts added_per_device(const Scenario& scenario, const Pool& pool, Watts limit) {
  return limit - scenario.devices.at(pool.node.device).power_idle + host_added_per_device(scenario, pool);
}

Watts limit_at_share(const Scenario& scenario, const Pool& pool, Watts most, double share) {
  if (share >= 1.0) return most;
  const Watts idle = scenario.devices.at(pool.node.device).power_idle;
  return Watts{std::floor((idle + (most - idle) * share).value())};
}

Watts metered(const Scenario& scenario, Watts added) {
  return (idle_power(scenario) + added) * scenario.cluster.power.pue;
}

}  // namespace lindos::sim
