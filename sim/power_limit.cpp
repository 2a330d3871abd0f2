// SPDX-License-Identifier: Apache-2.0
#include "sim/power_limit.h"

#include <algorithm>
#include <cmath>

namespace lindos::sim {

namespace {

// Exponent of power over clock. assume: between 1 (voltage at its floor) and 3 (voltage follows the clock).
constexpr double kClockExponent = 2.0;
// Hosts, NICs and fans of a node in heavy work, of their part of the nameplate: 8-GPU Hopper nodes of 10.2 kW reach
// 8.4 kW with 5.6 kW of GPUs (arXiv 2412.08602), 2.8 of 4.6 kW.
constexpr double kHostShare = 2.8 / 4.6;

const Device& device_of(const Scenario& scenario, const Pool& pool) {
  return scenario.devices.at(pool.node.device);
}

}  // namespace

Watts host_power(const Scenario& scenario, const Pool& pool) {
  const Watts devices = device_of(scenario, pool).power_max * pool.node.devices;
  return std::max(Watts{0}, pool.node.power_max - devices) * kHostShare;
}

Watts own_limit(const Scenario& scenario, const Pool& pool) {
  Watts limit = device_of(scenario, pool).power_max;
  const Power& power = scenario.cluster.power;
  if (power.device_cap.value() > 0.0) limit = std::min(limit, power.device_cap);
  if (power.rack_cap.value() > 0.0 && pool.nodes_per_rack > 0) {
    const Watts node = power.rack_cap / static_cast<double>(pool.nodes_per_rack);
    limit = std::min(limit, (node - host_power(scenario, pool)) / static_cast<double>(pool.node.devices));
  }
  return limit;
}

Watts node_demand(const Scenario& scenario, const Pool& pool) {
  return own_limit(scenario, pool) * pool.node.devices + host_power(scenario, pool);
}

Watts site_demand(const Scenario& scenario) {
  Watts it{0};
  for (const Pool& pool : scenario.cluster.pools)
    it += node_demand(scenario, pool) * static_cast<double>(pool.nodes);
  return it * scenario.cluster.power.pue;
}

Watts device_limit(const Scenario& scenario, const Pool& pool) {
  const Watts own = own_limit(scenario, pool);
  const Watts site = scenario.cluster.power.site_cap;
  if (site.value() <= 0.0 || site_demand(scenario) <= site) return own;
  // Every device gives up the same share of its dynamic power.
  Watts fixed{0};
  Watts dynamic{0};
  for (const Pool& p : scenario.cluster.pools) {
    const Device& device = device_of(scenario, p);
    const auto nodes = static_cast<double>(p.nodes);
    fixed += (host_power(scenario, p) + device.power_idle * p.node.devices) * nodes;
    dynamic += std::max(Watts{0}, own_limit(scenario, p) - device.power_idle) *
               (nodes * p.node.devices);
  }
  const Watts left = site / scenario.cluster.power.pue - fixed;
  const double share = std::clamp(left / dynamic, kLeastDynamicShare, 1.0);
  const Device& device = device_of(scenario, pool);
  return device.power_idle + (own - device.power_idle) * share;
}

double clock_of_share(double share) { return std::pow(share, 1.0 / kClockExponent); }

double clock_under(const Device& device, Watts limit) {
  if (limit >= device.power_max || device.power_max <= device.power_idle) return 1.0;
  const double share = std::max(kLeastDynamicShare, (limit - device.power_idle) / (device.power_max - device.power_idle));
  return std::min(1.0, clock_of_share(share));
}

}  // namespace lindos::sim
