// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_pools.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"

namespace lindos {
namespace {

const Pool* find_pool(const Cluster& cluster, const std::string& name) {
  const auto found = std::find_if(cluster.pools.begin(), cluster.pools.end(),
                                  [&](const Pool& pool) { return pool.name == name; });
  return found == cluster.pools.end() ? nullptr : &*found;
}

}  // namespace

std::map<std::string, std::int64_t> devices_per_replica(const GroupPlan& group) {
  std::map<std::string, std::int64_t> devices;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) ++devices[rank.pool];
  }
  return devices;
}

std::map<std::string, std::int64_t> devices_by_pool(const Plan& plan) {
  std::map<std::string, std::int64_t> devices;
  for (const GroupPlan& group : plan.groups) {
    for (const auto& [pool, count] : devices_per_replica(group)) devices[pool] += count * group.replicas;
  }
  return devices;
}

void check_pools(const Plan& plan, const Scenario& scenario, const std::string& where) {
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    const GroupPlan& group = plan.groups[g];
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      for (std::size_t r = 0; r < group.stages[s].ranks.size(); ++r) {
        const std::string& name = group.stages[s].ranks[r].pool;
        if (find_pool(scenario.cluster, name) == nullptr) {
          std::vector<std::string> names;
          for (const Pool& pool : scenario.cluster.pools) names.push_back(pool.name);
          throw Error(ErrorKind::kInput,
                      where + ": /groups/" + std::to_string(g) + "/stages/" + std::to_string(s) + "/ranks/" +
                          std::to_string(r) + "/pool",
                      "the cluster has no pool \"" + name + "\"" + did_you_mean(name, names));
        }
      }
    }
  }
  for (const auto& [name, count] : devices_by_pool(plan)) {
    const Pool& pool = *find_pool(scenario.cluster, name);
    if (scenario.devices.at(pool.node.device).compute_capability > 0 && count > pool.devices()) {
      throw Error(ErrorKind::kInput, where,
                  "the plan takes " + std::to_string(count) + " devices of pool \"" + name + "\", which has " +
                      std::to_string(pool.devices()));
    }
  }
}

}  // namespace lindos
