// SPDX-License-Identifier: Apache-2.0
#include "sim/power_limit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_layout.h"

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

[[noreturn]] void refuse_cap(const Scenario& scenario, const std::string& cap, const std::string& of) {
  throw Error(ErrorKind::kInfeasible, scenario.name,
              cap + " leaves the devices of " + of + " less than " + number_text(100.0 * kLeastDynamicShare) +
                  " % of what they draw above idle power, so that no clock keeps it");
}

void require_some(const Scenario& scenario, const Pool& pool, Watts limit) {
  if (limit < least_power_limit(device_of(scenario, pool)))
    refuse_cap(scenario, "device_cap or rack_cap in [power]", "pool \"" + pool.name + "\"");
}

// What all devices that work add to idle_power at their limits.
struct Working {
  Watts hosts{0};
  Watts dynamic{0};
  void add(const Scenario& scenario, const Pool& pool, Watts limit, double devices) {
    hosts += host_added_per_device(scenario, pool) * devices;
    dynamic += std::max(Watts{0}, limit - device_of(scenario, pool).power_idle) * devices;
  }
};

// The share of dynamic power that the site's cap leaves; at most 1.
double site_share(const Scenario& scenario, const Working& working) {
  const Power& power = scenario.cluster.power;
  if (power.site_cap.value() <= 0.0) return 1.0;
  const Watts left = added_budget(scenario) - working.hosts;
  if (left >= working.dynamic) return 1.0;
  const double share = left / working.dynamic;
  if (share >= kLeastDynamicShare) return share;
  refuse_cap(scenario,
             "the site's cap of " + format(rounded_quantity(power.site_cap)) + " (" +
                 format(rounded_quantity((idle_power(scenario) + working.hosts) * power.pue)) +
                 " go to idle nodes, busy hosts and cooling)",
             "the plan");
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

Watts own_limit(const Scenario& scenario, const Pool& pool, const GroupPlan& group) {
  const Watts limit = own_limit(scenario, pool);
  return group.power_limit.value() > 0.0 ? std::min(limit, group.power_limit) : limit;
}

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

Watts added_budget(const Scenario& scenario) {
  return scenario.cluster.power.site_cap / scenario.cluster.power.pue - idle_power(scenario);
}

DeviceLimits device_limits(const Scenario& scenario, OtherDevices others) {
  DeviceLimits limits;
  Working working;
  // A search prices groups before it knows how many replicas of them there are: no pool works more than it has.
  std::map<std::string, std::int64_t> left;
  for (const Pool& pool : scenario.cluster.pools) left[pool.name] = pool.devices();
  for (const GroupPlan& group : scenario.plan.groups) {
    std::map<std::string, Watts>& own = limits.groups.emplace_back();
    for (const auto& [name, devices] : devices_per_replica(group)) {
      const Pool* pool = find_pool(scenario.cluster, name);
      if (pool == nullptr || !scenario.devices.contains(pool->node.device)) continue;
      const Watts limit = own_limit(scenario, *pool, group);
      require_some(scenario, *pool, limit);
      own.emplace(name, limit);
      const std::int64_t taken = std::min(left[name], devices * group.replicas);
      left[name] -= taken;
      working.add(scenario, *pool, limit, static_cast<double>(taken));
    }
  }
  if (others == OtherDevices::kWork) {
    for (const Pool& pool : scenario.cluster.pools) {
      const Watts limit = own_limit(scenario, pool);
      limits.others.emplace(pool.name, limit);
      working.add(scenario, pool, limit, static_cast<double>(left[pool.name]));
    }
  }
  const double share = site_share(scenario, working);
  const auto shared = [&](const std::string& name, Watts& limit) {
    const Watts idle = device_of(scenario, *find_pool(scenario.cluster, name)).power_idle;
    if (share < 1.0) limit = idle + (limit - idle) * share;
  };
  for (std::map<std::string, Watts>& group : limits.groups) {
    for (auto& [name, limit] : group) shared(name, limit);
  }
  for (auto& [name, limit] : limits.others) shared(name, limit);
  return limits;
}

Watts plan_power(const Scenario& scenario, const DeviceLimits& limits) {
  Watts sum{0};
  for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
    const GroupPlan& group = scenario.plan.groups[g];
    for (const auto& [name, devices] : devices_per_replica(group)) {
      const Pool& pool = *find_pool(scenario.cluster, name);
      const Watts each = limits.groups[g].at(name) + host_power(scenario, pool) / static_cast<double>(pool.node.devices);
      sum += each * static_cast<double>(devices * group.replicas);
    }
  }
  return sum * scenario.cluster.power.pue;
}

double clock_of_share(double share) { return std::pow(share, 1.0 / kClockExponent); }

double clock_under(const Device& device, Watts limit) {
  if (limit >= device.power_max || device.power_max <= device.power_idle) return 1.0;
  const double share = std::max(kLeastDynamicShare, (limit - device.power_idle) / (device.power_max - device.power_idle));
  return std::min(1.0, clock_of_share(share));
}

}  // namespace lindos::sim
