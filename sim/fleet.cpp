// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "exec/scheduler/limits_from_plan.h"
#include "scenarios/error.h"
#include "sim/datasheet.h"
#include "sim/interconnect.h"
#include "sim/simgrid_serving.h"

namespace lindos::sim {

namespace {

// Memory per [stage][rank]: a device's own, or an even part of the host that all ranks share.
std::vector<std::vector<Bytes>> memory_of(const GroupPlan& group,
                                          const std::map<std::string, ProfiledDevice>& devices) {
  std::vector<std::vector<Bytes>> memory;
  const auto all_ranks = static_cast<double>(group.ranks_per_replica());
  for (const StagePlan& stage : group.stages) {
    std::vector<Bytes>& row = memory.emplace_back();
    for (const RankPlan& rank : stage.ranks) {
      const ProfiledDevice& d = devices.at(rank.pool);
      const Bytes whole = d.profile.memory.value() > 0.0 ? d.profile.memory : d.device.memory;
      row.push_back(is_host(d.device) ? whole / all_ranks : whole);
    }
  }
  return memory;
}

Capacity capacity_or_throw(const Model& model, const GroupPlan& group,
                           const std::map<std::string, ProfiledDevice>& devices) {
  std::variant<Capacity, Infeasible> answer = kv_capacity(model, group, memory_of(group, devices));
  if (const auto* infeasible = std::get_if<Infeasible>(&answer)) {
    throw Error(ErrorKind::kInfeasible, "group \"" + group.name + "\"", infeasible->reason);
  }
  return std::get<Capacity>(std::move(answer));
}

}  // namespace

Fleet make_fleet(const Scenario& scenario, const std::map<std::string, Profile>& profiles_by_device,
                 const std::string& backend) {
  Fleet fleet;
  std::map<std::string, std::int64_t> devices_used;  // by label
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.role != Role::kBoth) {
      throw Error(ErrorKind::kInput, "group \"" + group.name + "\"",
                  "serving prediction covers groups of role \"both\"; prefill and decode in "
                  "separate groups "
                  "or training groups are not covered");
    }
    std::map<std::string, ProfiledDevice> devices;
    std::map<std::string, int> devices_per_node;
    for (const Pool& pool : scenario.cluster.pools) {
      const auto device = scenario.devices.find(pool.node.device);
      if (device == scenario.devices.end()) continue;
      const auto given = profiles_by_device.find(device->first);
      const bool used =
          std::any_of(group.stages.begin(), group.stages.end(), [&](const StagePlan& stage) {
            return std::any_of(stage.ranks.begin(), stage.ranks.end(),
                               [&](const RankPlan& rank) { return rank.pool == pool.name; });
          });
      if (!used) continue;
      ProfiledDevice profiled{device->second,
                              given != profiles_by_device.end()
                                  ? given->second
                                  : datasheet_profile(device->second, group.weight_dtype)};
      fleet.profiles.insert_or_assign(device->first, profiled.profile);
      devices.emplace(pool.name, std::move(profiled));
      devices_per_node.emplace(pool.name, pool.node.devices);
    }
    ReplicaModel replica(scenario.model, group, scenario.cluster.fabric, devices, backend);
    std::vector<PlatformDevice> platform = stage_devices(group, replica, devices, devices_per_node);
    Capacity capacity = capacity_or_throw(scenario.model, group, devices);
    const scheduler::Limits limits = scheduler::scheduler_limits(group, capacity.kv_blocks);
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        const Device& d = devices.at(rank.pool).device;
        devices_used[d.label.empty() ? d.name : d.label] += group.replicas;
      }
    }
    fleet.groups.push_back(
        {group, std::move(capacity), limits, std::move(replica), std::move(platform)});
  }
  if (fleet.groups.empty()) throw Error(ErrorKind::kInput, "plan", "the plan has no groups");
  for (const auto& [label, count] : devices_used) {
    fleet.hardware += (fleet.hardware.empty() ? "" : ", ") + std::to_string(count) + " × " + label;
  }
  return fleet;
}

}  // namespace lindos::sim
