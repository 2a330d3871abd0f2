// SPDX-License-Identifier: Apache-2.0
#include "cli/launch/placement.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_pools.h"

namespace lindos::cli {

namespace {

[[noreturn]] void refuse(const GroupPlan& group, const std::string& why) {
  throw Error(ErrorKind::kInfeasible, in_quotes(group), why);
}

std::string slug_of(const std::string& name) {
  std::string slug;
  for (const char c : name) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (plain) slug += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (!plain && !slug.empty() && slug.back() != '-') slug += '-';
  }
  while (!slug.empty() && slug.back() == '-') slug.pop_back();
  return slug.empty() ? "group" : slug;
}

// An even share of columns, up to the granule that both sides round to.
bool even(const Range& range, std::int64_t total, std::int64_t parts) {
  return std::abs(range.size() * parts - total) <= kGpuGranule * parts;
}

void require_even(const Scenario& scenario, const GroupPlan& group, const StagePlan& stage,
                  std::size_t index, const std::string& tool) {
  const Model& model = scenario.model;
  const auto ranks = static_cast<std::int64_t>(stage.ranks.size());
  if (model.q_heads % ranks != 0) {
    refuse(group, fmt::format("{} splits heads evenly, and {} heads over {} ranks leave a "
                              "remainder; nearest: a tensor degree "
                              "that divides {}",
                              tool, model.q_heads, ranks, model.q_heads));
  }
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    const TensorShare& share = stage.ranks[r].share;
    if (share.q_heads.size() * ranks != model.q_heads ||
        (model.ffn > 0 && !share.ffn.empty() && !even(share.ffn, model.ffn, ranks))) {
      refuse(group, fmt::format("{} knows even tensor shares only, and rank {} of stage {} has {} "
                                "of {} heads and {} of {} FFN "
                                "columns; `lindos run` executes such a plan; nearest for {}: kinds "
                                "of device in stages of their own "
                                "with uneven layers",
                                tool, r, index, share.q_heads.size(), model.q_heads,
                                share.ffn.size(), model.ffn, tool));
    }
  }
}

}  // namespace

std::string power_lines(const Placement& at) {
  std::string lines;
  for (const auto& [pool, limit] : at.power_limits) {
    lines += fmt::format("# Each device of pool {} is planned at no more than {:g} W. Only root can set that, on its node, and\n"
                         "# nothing here does: nvidia-smi -i DEVICES -pl {:g}\n",
                         pool, limit.value(), limit.value());
  }
  return lines;
}

void require_one_limit_per_node(const Scenario& scenario, const Launch& launch) {
  for (const std::string& name : launch.at.pools) {
    if (launch.at.node_devices == pool_of(scenario, name).node.devices) continue;
    std::map<Watts, std::string> limits;  // and a group that has it
    for (const GroupPlan& group : scenario.plan.groups) {
      if (devices_per_replica(group).contains(name)) limits.emplace(group.power_limit, group.name);
    }
    if (limits.size() < 2) continue;
    throw Error(ErrorKind::kInfeasible, launch.at.slug,
                fmt::format("its replicas take a part of a node of pool \"{}\", whose devices groups \"{}\" and \"{}\" hold "
                            "to different power limits, and nodes are set up before it is known whose devices they are; "
                            "nearest: one limit for the pool, or replicas that fill nodes",
                            name, limits.begin()->second, limits.rbegin()->second));
  }
}

std::string comma_list(const std::vector<std::int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ","));
}

bool UniformGroup::even_layers() const {
  return std::all_of(layers.begin(), layers.end(),
                     [&](std::int64_t n) { return n == layers.front(); });
}

std::string in_quotes(const GroupPlan& group) { return fmt::format("group \"{}\"", group.name); }

const Pool& pool_of(const Scenario& scenario, const std::string& name) {
  return *std::find_if(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                       [&](const Pool& pool) { return pool.name == name; });
}

Placement placement_of(const Scenario& scenario, const GroupPlan& group, const std::string& tool) {
  Placement at;
  at.slug = slug_of(group.name);
  at.replicas = group.replicas;
  at.devices = group.devices_per_replica();
  std::int64_t node_devices = 0;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) {
      if (std::find(at.pools.begin(), at.pools.end(), rank.pool) != at.pools.end()) continue;
      at.pools.push_back(rank.pool);
      if (group.power_limit > Watts{0}) at.power_limits.emplace(rank.pool, group.power_limit);
      const std::int64_t own = pool_of(scenario, rank.pool).node.devices;
      if (node_devices != 0 && own != node_devices) {
        refuse(group, fmt::format("{} starts the same number of processes on every node; a replica "
                                  "takes nodes of {} and of {} "
                                  "devices",
                                  tool, node_devices, own));
      }
      node_devices = own;
    }
  }
  at.node_devices = std::min(node_devices, at.devices);
  if (at.devices % at.node_devices != 0) {
    refuse(group,
           fmt::format("{} starts the same number of processes on every node; a replica of {} "
                       "devices does not fill nodes of "
                       "{}; nearest: {} devices",
                       tool, at.devices, node_devices, at.devices / node_devices * node_devices));
  }
  at.nodes = at.devices / at.node_devices;
  return at;
}

UniformGroup uniform_group(const Scenario& scenario, const GroupPlan& group,
                           const std::string& tool) {
  UniformGroup out;
  out.group = &group;
  out.at = placement_of(scenario, group, tool);
  out.stages = static_cast<std::int64_t>(group.stages.size());
  out.tensor = static_cast<std::int64_t>(group.stages.front().ranks.size());
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const StagePlan& stage = group.stages[s];
    if (static_cast<std::int64_t>(stage.ranks.size()) != out.tensor) {
      refuse(group,
             fmt::format(
                 "{} has one tensor degree for all stages; stage 0 has {} ranks, stage {} has {}",
                 tool, out.tensor, s, stage.ranks.size()));
    }
    require_even(scenario, group, stage, s, tool);
    out.layers.push_back(stage.layers.size());
    for (const RankPlan& rank : stage.ranks) {
      if (scenario.model.is_moe() && rank.share.experts.size() < scenario.model.moe.experts)
        out.expert_parallel = true;
    }
  }
  return out;
}

}  // namespace lindos::cli
