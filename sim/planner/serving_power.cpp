// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_power.h"

#include <algorithm>

#include "sim/training/power_limit.h"

namespace lindos::sim {

namespace {

const Device& device_of(const Scenario& scenario, const Pool& pool) { return scenario.devices.at(pool.node.device); }

Watts node_idle(const Scenario& scenario, const Pool& pool) {
  return std::max(pool.node.power_idle, device_of(scenario, pool).power_idle * pool.node.devices);
}

}  // namespace

Watts idle_power(const Scenario& scenario) {
  Watts sum{0};
  for (const Pool& pool : scenario.cluster.pools) sum += node_idle(scenario, pool) * static_cast<double>(pool.nodes);
  return sum;
}

Watts added_per_device(const Scenario& scenario, const Pool& pool, double clock) {
  const Device& device = device_of(scenario, pool);
  const Watts saved = device.power_max - limit_for(device, clock);
  const Watts node = node_demand(scenario, pool) - saved * pool.node.devices;
  return std::max(Watts{0}, node - node_idle(scenario, pool)) / pool.node.devices;
}

Watts added_budget(const Scenario& scenario) {
  return scenario.cluster.power.site_cap / scenario.cluster.power.pue - idle_power(scenario);
}

Watts metered(const Scenario& scenario, Watts added) {
  return (idle_power(scenario) + added) * scenario.cluster.power.pue;
}

}  // namespace lindos::sim
