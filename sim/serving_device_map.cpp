// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_device_map.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>

#include "sim/device_fields.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

// Of one replica, its devices in one pool.
struct PoolPart {
  std::int64_t devices = 0;
  Watts idle{0};  // by the catalogue
  Watts most{0};  // that they may add
};

std::vector<PoolPart> parts_of(const Scenario& scenario, const ServingGroup& group, const std::vector<PoolShape>& pools) {
  std::vector<PoolPart> parts(pools.size());
  for (std::size_t s = 0; s < group.plan.stages.size(); ++s) {
    const std::vector<RankCeiling>& ceilings = group.replica.ranks(s);
    for (std::size_t r = 0; r < ceilings.size(); ++r) {
      const std::string& name = group.plan.stages[s].ranks[r].pool;
      const auto pool = std::find_if(pools.begin(), pools.end(), [&](const PoolShape& p) { return p.name == name; });
      PoolPart& part = parts[static_cast<std::size_t>(pool - pools.begin())];
      ++part.devices;
      part.idle += scenario.devices.at(pool->device).power_idle;
      part.most += std::min(ceilings[r].added_limit, ceilings[r].added_cap);
    }
  }
  return parts;
}

// Stages of replicas follow each other in each pool that they use; one on several pools is placed in each of them.
std::vector<PlacedStage> place_stages(const Scenario& scenario, const Fleet& fleet, const std::vector<PoolShape>& pools) {
  std::vector<PlacedStage> placed;
  std::vector<std::int64_t> used(pools.size(), 0);
  for (const ServingGroup& group : fleet.groups) {
    const std::vector<PoolPart> parts = parts_of(scenario, group, pools);
    const auto replicas = static_cast<std::int64_t>(replicas_of(group.plan));
    std::vector<std::int64_t> inside = used;  // and of this group's first replica
    for (std::size_t s = 0; s < group.plan.stages.size(); ++s) {
      const std::vector<RankPlan>& ranks = group.plan.stages[s].ranks;
      for (std::size_t p = 0; p < pools.size(); ++p) {
        const std::int64_t devices =
            std::count_if(ranks.begin(), ranks.end(), [&](const RankPlan& rank) { return rank.pool == pools[p].name; });
        if (devices == 0) continue;
        placed.push_back({group.plan.name, static_cast<int>(s), static_cast<int>(p), inside[p], devices, parts[p].devices, replicas});
        inside[p] += devices;
      }
    }
    for (std::size_t p = 0; p < pools.size(); ++p) used[p] += parts[p].devices * replicas;
  }
  return placed;
}

// What the work of one replica of each group adds to its idle power over the run: mean of the simulated ones.
std::vector<Watts> added_power(const Fleet& fleet, const std::vector<ReplicaOutcome>& replicas) {
  std::vector<double> simulated(fleet.groups.size(), 0.0);
  std::vector<Joules> added(fleet.groups.size(), Joules{0});
  Seconds end{0};
  for (const ReplicaOutcome& replica : replicas) {
    simulated[replica.group] += 1.0;
    added[replica.group] += replica.totals.added;
    end = std::max(end, replica.end);
  }
  std::vector<Watts> out;
  for (std::size_t g = 0; g < added.size(); ++g)
    out.push_back(end > Seconds{0} ? added[g] / simulated[g] / end : Watts{0});
  return out;
}

}  // namespace

std::optional<DeviceMap> serving_device_map(const Scenario& scenario, const Fleet& fleet,
                                            const std::vector<ReplicaOutcome>& replicas) {
  DeviceMap map;
  map.pools = pool_shapes(scenario);
  for (const ServingGroup& group : fleet.groups) {
    const std::vector<PoolPart> parts = parts_of(scenario, group, map.pools);
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (parts[p].devices > 0 && scenario.devices.at(map.pools[p].device).compute_capability == 0) return std::nullopt;
    }
  }
  map.stages = place_stages(scenario, fleet, map.pools);
  DeviceFields fields(map.pools);
  const bool known = std::all_of(fleet.groups.begin(), fleet.groups.end(),
                                 [](const ServingGroup& group) { return group.replica.power().has_value(); });
  if (known) {
    for (std::size_t p = 0; p < map.pools.size(); ++p) {
      const Watts idle = scenario.devices.at(map.pools[p].device).power_idle;
      if (idle.value() > 0.0) fields.set("power_w", static_cast<int>(p), 0, map.pools[p].devices(), idle.value());
    }
    const DeviceLimits limits = device_limits(scenario, OtherDevices::kRest);
    const std::vector<Watts> added = added_power(fleet, replicas);
    std::vector<std::int64_t> used(map.pools.size(), 0);
    for (std::size_t g = 0; g < fleet.groups.size(); ++g) {
      const std::vector<PoolPart> parts = parts_of(scenario, fleet.groups[g], map.pools);
      const auto count = static_cast<std::int64_t>(replicas_of(fleet.groups[g].plan));
      Watts most{0};
      Watts idle{0};
      for (const PoolPart& part : parts) {
        most += part.most;
        idle += part.idle;
      }
      for (std::size_t p = 0; p < parts.size(); ++p) {
        const PoolPart& part = parts[p];
        if (part.devices == 0) continue;
        const bool alone = part.most == most;
        const Watts own = alone ? added[g] : added[g] * (part.most / most);
        // Of a replica on several pools the measured idle power is shared out as the catalogue's.
        const Watts at_rest = fleet.groups[g].replica.power()->idle;
        const Watts own_idle = alone ? at_rest : at_rest * (part.idle / idle);
        const Watts each = (own_idle + std::min(own, part.most)) / static_cast<double>(part.devices);
        const int pool = static_cast<int>(p);
        fields.set("power_w", pool, used[p], part.devices * count, each.value());
        fields.set("power_limit_w", pool, used[p], part.devices * count, limits.groups[g].at(map.pools[p].name).value());
        used[p] += part.devices * count;
      }
    }
  }
  map.fields = fields.encoded();
  validate_device_map(map, scenario.name);
  return map;
}

}  // namespace lindos::sim
