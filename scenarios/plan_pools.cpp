// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_pools.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/plan_admission.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_place.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_layout.h"
#include "scenarios/training_plan.h"

namespace lindos {

const Pool* find_pool(const Cluster& cluster, const std::string& name) {
  const auto found = std::find_if(cluster.pools.begin(), cluster.pools.end(),
                                  [&](const Pool& pool) { return pool.name == name; });
  return found == cluster.pools.end() ? nullptr : &*found;
}

std::map<std::string, std::int64_t> devices_per_replica(const GroupPlan& group) {
  std::map<std::string, std::int64_t> devices;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks)
      devices[rank.pool] += group.training.context_parallel;
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

std::string why_no_limit(const Device& device, Watts limit) {
  if (limit.value() <= 0.0) return {};
  if (device.compute_capability == 0 || device.power_max.value() <= 0.0)
    return "what device \"" + device.name + "\" draws is not predicted, so that a limit would say nothing; leave it out";
  if (limit > device.power_max) {
    return format(limit) + " is above what device \"" + device.name + "\" draws at most, " + format(device.power_max) +
           "; leave it out";
  }
  if (limit >= least_power_limit(device)) return {};
  return "no clock of device \"" + device.name + "\", which draws " + format(device.power_idle) + " idle, keeps " +
         format(limit) + "; at least " + format(rounded_quantity(least_power_limit(device)));
}

void check_power_limits(const Plan& plan, const Scenario& scenario, const std::string& where) {
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    for (const auto& [name, devices] : devices_per_replica(plan.groups[g])) {
      const Device& device = scenario.devices.at(find_pool(scenario.cluster, name)->node.device);
      const std::string why = why_no_limit(device, plan.groups[g].power_limit);
      Place(where, "/groups").at(g).at("power_limit_w").require(why.empty(), why);
    }
  }
}

void check_plan(const Plan& plan, const Scenario& scenario, const std::string& where) {
  validate_plan(plan, scenario.model, where);
  // Before the batch: how many replicas there can be is a question of devices first.
  check_pools(plan, scenario, where);
  check_power_limits(plan, scenario, where);
  const Place admission(where, "/admission");
  check_admission(plan.admission, scenario.workload.serving.tenants, admission);
  if (scenario.workload.kind == WorkloadKind::kTraining) {
    admission.require(!plan.admission.any(), "limits the requests that are let in, and the workload is training");
    validate_training(plan, scenario.model, scenario.workload.training, where);
  }
}

void check_pools(const Plan& plan, const Scenario& scenario, const std::string& where) {
  // Doubles: a hostile plan asks for more than an integer counts.
  std::map<std::string, std::map<std::size_t, double>> used;  // pool → group → devices of one replica
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
        used[name][g] += static_cast<double>(group.training.context_parallel);
      }
    }
  }
  for (const auto& [name, groups] : used) {
    const Pool& pool = *find_pool(scenario.cluster, name);
    if (scenario.devices.at(pool.node.device).compute_capability == 0) continue;
    double count = 0.0;
    for (const auto& [g, devices] : groups) {
      count += devices * static_cast<double>(plan.groups[g].replicas);
    }
    const auto available = static_cast<double>(pool.devices());
    if (count <= available) continue;
    // The group that takes most gives way to the others.
    const auto taken = [&](const auto& group) {
      return group.second * static_cast<double>(plan.groups[group.first].replicas);
    };
    const auto most = std::max_element(groups.begin(), groups.end(),
                                       [&](const auto& a, const auto& b) { return taken(a) < taken(b); });
    const double replicas = std::floor((available - (count - taken(*most))) / most->second);
    std::string way_out = "take " + number_text(count - available, 15) + " less";
    if (replicas >= 1.0) {
      way_out = "at most " + number_text(replicas, 15) + " replicas of " + number_text(most->second, 15) + " fit";
      if (groups.size() > 1) way_out += " in group \"" + plan.groups[most->first].name + "\" beside the others";
    }
    throw Error(ErrorKind::kInput, where,
                "the plan takes " + number_text(count, 15) + " devices of pool \"" + name +
                    "\", which has " + std::to_string(pool.devices()) + "; " + way_out);
  }
}

}  // namespace lindos
