// SPDX-License-Identifier: Apache-2.0
#include "scenarios/site_power.h"

namespace lindos {

Watts SitePower::nameplate() const {
  Watts sum{0};
  for (const PoolPower& pool : pools) sum += pool.nameplate;
  return sum;
}

Watts SitePower::idle() const {
  Watts sum{0};
  for (const PoolPower& pool : pools) sum += pool.idle;
  return sum;
}

SitePower site_power(const Scenario& scenario) {
  SitePower site;
  site.limits = scenario.cluster.power;
  for (const Pool& pool : scenario.cluster.pools) {
    const Device& device = scenario.devices.at(pool.node.device);
    PoolPower own{pool.name, pool.nodes, pool.devices(),
                  Watts{0},  Watts{0},   pool.node.power_max != Watts{0}};
    const auto nodes = static_cast<double>(pool.nodes);
    own.nameplate = own.whole_nodes ? pool.node.power_max * nodes
                                    : device.power_max * static_cast<double>(pool.devices());
    own.idle = own.whole_nodes ? pool.node.power_idle * nodes
                               : device.power_idle * static_cast<double>(pool.devices());
    site.pools.push_back(own);
  }
  return site;
}

}  // namespace lindos
