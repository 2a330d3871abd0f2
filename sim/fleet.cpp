// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "exec/scheduler/limits_from_plan.h"
#include "scenarios/error.h"
#include "sim/datasheet.h"
#include "sim/interconnect.h"
#include "sim/power_limit.h"
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
      row.push_back(is_host(d.device) ? device_memory_of_host(whole, group.limits) / all_ranks : whole);
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

// Prompts that are computed apart need somebody who goes on with their KV, and the other way round.
void check_roles(const std::vector<GroupPlan>& groups) {
  const GroupPlan* prefill = nullptr;
  const GroupPlan* decode = nullptr;
  double entry_weight = 0.0;
  double decode_weight = 0.0;
  for (const GroupPlan& group : groups) {
    if (group.role == Role::kTrain)
      throw Error(ErrorKind::kInput, "group \"" + group.name + "\"", "it trains; the workload is serving");
    if (group.role == Role::kPrefill) prefill = &group;
    if (group.role == Role::kDecode) decode = &group;
    (group.role == Role::kDecode ? decode_weight : entry_weight) += group.routing_weight;
  }
  if (prefill == nullptr && decode == nullptr) return;
  if (prefill == nullptr) {
    throw Error(ErrorKind::kInput, "plan",
                "group \"" + decode->name + "\" decodes, but no group of role \"prefill\" computes prompts for it");
  }
  if (decode == nullptr) {
    throw Error(ErrorKind::kInput, "plan",
                "group \"" + prefill->name +
                    "\" computes prompts, but no group of role \"decode\" goes on with them");
  }
  if (entry_weight <= 0.0 || decode_weight <= 0.0)
    throw Error(ErrorKind::kInput, "plan", "prefill and decode each need a group with a routing_weight above 0");
  for (const GroupPlan& group : groups) {
    if (group.role == Role::kBoth || group.kv_dtype == decode->kv_dtype) continue;
    throw Error(ErrorKind::kInput, "group \"" + group.name + "\"",
                "its KV is " + std::string(name_of(group.kv_dtype)) + " and that of group \"" + decode->name +
                    "\" is " + std::string(name_of(decode->kv_dtype)) + "; KV is sent as it is, so both need one "
                    "format");
  }
}

Bytes kv_bytes_per_token_of(const Model& model, const GroupPlan& group) {
  Bytes sum{0};
  for (int s = 0; s < static_cast<int>(group.stages.size()); ++s) {
    const auto ranks = static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
    for (int r = 0; r < ranks; ++r) sum += kv_bytes_per_token(model, group, {s, r});
  }
  return sum;
}

// What hosts draw is not predicted: a cap on one whose maximum is above it, or not known, would say nothing.
void require_no_cap(const Power& power, const Device& host, Watts limit, const Pool& pool) {
  const bool rack = power.rack_cap.value() > 0.0 && pool.nodes_per_rack > 0;
  const bool stated = power.device_cap.value() > 0.0 || rack || power.site_cap.value() > 0.0;
  if (!stated || (host.power_max.value() > 0.0 && limit >= host.power_max)) return;
  throw Error(ErrorKind::kInput, "pool \"" + pool.name + "\"",
              "[power] caps its hosts, and what hosts draw is not predicted; leave the cap out");
}

}  // namespace

Fleet make_fleet(const Scenario& scenario, const std::map<std::string, Profile>& profiles_by_device,
                 const std::string& backend) {
  Fleet fleet;
  std::map<std::string, std::int64_t> devices_used;  // by label
  check_roles(scenario.plan.groups);
  const DeviceLimits limits_of_devices = device_limits(scenario, OtherDevices::kRest);
  for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
    const GroupPlan& group = scenario.plan.groups[g];
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
      const Watts limit = limits_of_devices.groups[g].at(pool.name);
      if (is_host(device->second)) require_no_cap(scenario.cluster.power, device->second, limit, pool);
      if (limit < device->second.power_max) profiled.cap = limit;
      fleet.profiles.insert_or_assign(device->first, profiled.profile);
      devices.emplace(pool.name, std::move(profiled));
      devices_per_node.emplace(pool.name, pool.node.devices);
    }
    ReplicaModel replica(scenario.model, group, scenario.cluster.fabric, devices, backend, scenario.workload.serving.expert_skew);
    std::vector<PlatformDevice> platform = stage_devices(group, replica, devices, devices_per_node);
    Capacity capacity = capacity_or_throw(scenario.model, group, devices);
    const scheduler::Limits limits = scheduler::scheduler_limits(group, capacity.kv_blocks, capacity.host_blocks);
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        const Device& d = devices.at(rank.pool).device;
        devices_used[d.label.empty() ? d.name : d.label] += group.replicas;
      }
    }
    Interconnect outward;
    for (const auto& [pool, d] : devices) {
      const Interconnect own = interconnect_between(d.device, scenario.cluster.fabric, d.profile, 0,
                                                    std::max(1, d.device.scale_up_domain));
      outward = pool == devices.begin()->first ? own : slower(outward, own);
    }
    fleet.groups.push_back({group, std::move(capacity), limits, std::move(replica), std::move(platform), outward,
                            kv_bytes_per_token_of(scenario.model, group)});
  }
  fleet.limits_admission = scenario.plan.admission.any();
  if (fleet.groups.empty()) throw Error(ErrorKind::kInput, "plan", "the plan has no groups");
  for (const auto& [label, count] : devices_used) {
    fleet.hardware += (fleet.hardware.empty() ? "" : ", ") + std::to_string(count) + " × " + label;
  }
  return fleet;
}

}  // namespace lindos::sim
