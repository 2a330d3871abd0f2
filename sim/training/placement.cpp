// SPDX-License-Identifier: Apache-2.0
#include "sim/training/placement.h"

#include <map>
#include <string>

#include "scenarios/error.h"

namespace lindos::sim {

Placement::Placement(const TrainingJob& job, const FleetTopology& fleet) : fleet_(&fleet) {
  std::map<std::string, std::int64_t> used;  // devices of each pool
  for (const GroupJob& group : job.groups) {
    std::vector<Site>& sites = sites_.emplace_back();
    std::map<std::string, std::int64_t> inside = used;  // and of this group's first replica
    for (const StageJob& stage : group.stages) {
      const PoolTopology& pool = fleet.pool_or_throw(stage.pool);
      sites.push_back({pool.first_node, inside[stage.pool],
                       group.devices_in(stage.pool) / group.replicas, pool.devices_per_node,
                       pool.nic});
      inside[stage.pool] += stage.devices;
    }
    for (const PoolTopology& pool : fleet.pools()) {
      std::int64_t& sum = used[pool.name];
      sum += group.devices_in(pool.name);
      if (sum > pool.nodes * pool.devices_per_node) {
        throw Error(ErrorKind::kInfeasible, "group \"" + group.name + "\"",
                    "the job takes " + std::to_string(sum) + " devices of pool \"" + pool.name +
                        "\", which has " + std::to_string(pool.nodes * pool.devices_per_node));
      }
    }
  }
}

std::vector<NicBundle> Placement::bundles(const TrainingJob& job) const {
  std::vector<NicBundle> bundles;
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const GroupJob& group = job.groups[g];
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      if (group.stages[s].devices <= sites_[g][s].devices_per_node) continue;
      for (std::int64_t r = 0; r < group.replicas; ++r)
        bundles.push_back({node(g, r, s), group.stages[s].devices});
    }
  }
  return bundles;
}

}  // namespace lindos::sim
