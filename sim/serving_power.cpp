// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_power.h"

#include <algorithm>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_layout.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

const Device& device_of(const Scenario& scenario, const Pool& pool) { return scenario.devices.at(pool.node.device); }

Watts dynamic_power(const Scenario& scenario, const Pool& pool) {
  return own_limit(scenario, pool) - device_of(scenario, pool).power_idle;
}

[[noreturn]] void refuse_cap(const Scenario& scenario, const std::string& cap, const std::string& of) {
  throw Error(ErrorKind::kInfeasible, scenario.name,
              cap + " leaves the devices of " + of + " less than " + number_text(100.0 * kLeastDynamicShare) +
                  " % of what they draw above idle power, so that no clock keeps it");
}

// The share of dynamic power that the site's cap leaves the devices of the plan; at most 1.
double site_share(const Scenario& scenario, const std::map<std::string, std::int64_t>& used) {
  if (scenario.cluster.power.site_cap.value() <= 0.0) return 1.0;
  Watts hosts{0};
  Watts dynamic{0};
  for (const Pool& pool : scenario.cluster.pools) {
    const auto found = used.find(pool.name);
    if (found == used.end()) continue;
    const auto devices = static_cast<double>(found->second);
    hosts += host_added_per_device(scenario, pool) * devices;
    dynamic += dynamic_power(scenario, pool) * devices;
  }
  const Watts left = added_budget(scenario) - hosts;
  if (left >= dynamic) return 1.0;
  const double share = left / dynamic;
  if (share >= kLeastDynamicShare) return share;
  refuse_cap(scenario,
             "the site's cap of " + format(rounded_quantity(scenario.cluster.power.site_cap)) + " (" +
                 format(rounded_quantity(metered(scenario, hosts))) + " go to idle nodes, busy hosts and cooling)",
             "the plan");
}

}  // namespace

Watts node_idle(const Scenario& scenario, const Pool& pool) {
  return std::max(pool.node.power_idle, device_of(scenario, pool).power_idle * pool.node.devices);
}

Watts idle_power(const Scenario& scenario) {
  Watts sum{0};
  for (const Pool& pool : scenario.cluster.pools) sum += node_idle(scenario, pool) * static_cast<double>(pool.nodes);
  return sum;
}

Watts host_added_per_device(const Scenario& scenario, const Pool& pool) {
  const Watts at_rest = node_idle(scenario, pool) - device_of(scenario, pool).power_idle * pool.node.devices;
  return std::max(Watts{0}, host_power(scenario, pool) - at_rest) / static_cast<double>(pool.node.devices);
}

Watts added_per_device(const Scenario& scenario, const Pool& pool, Watts limit) {
  return limit - device_of(scenario, pool).power_idle + host_added_per_device(scenario, pool);
}

Watts limit_at_share(const Scenario& scenario, const Pool& pool, double share) {
  return device_of(scenario, pool).power_idle + dynamic_power(scenario, pool) * share;
}

Watts added_budget(const Scenario& scenario) {
  return scenario.cluster.power.site_cap / scenario.cluster.power.pue - idle_power(scenario);
}

Watts metered(const Scenario& scenario, Watts added) {
  return (idle_power(scenario) + added) * scenario.cluster.power.pue;
}

std::map<std::string, Watts> serving_limits(const Scenario& scenario) {
  const std::map<std::string, std::int64_t> used = devices_by_pool(scenario.plan);
  std::map<std::string, Watts> limits;
  for (const Pool& pool : scenario.cluster.pools) {
    if (!used.contains(pool.name) || !scenario.devices.contains(pool.node.device)) continue;
    const Device& device = device_of(scenario, pool);
    if (dynamic_power(scenario, pool) < (device.power_max - device.power_idle) * kLeastDynamicShare)
      refuse_cap(scenario, "device_cap or rack_cap in [power]", "pool \"" + pool.name + "\"");
    limits.emplace(pool.name, Watts{0});
  }
  const double share = site_share(scenario, used);
  for (const Pool& pool : scenario.cluster.pools) {
    if (const auto found = limits.find(pool.name); found != limits.end())
      found->second = limit_at_share(scenario, pool, share);
  }
  return limits;
}

}  // namespace lindos::sim
