// SPDX-License-Identifier: Apache-2.0
#include "cli/launch/training_job.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"
#include "scenarios/training_plan.h"

namespace lindos::cli {

namespace {

[[noreturn]] void refuse(const GroupPlan& group, const std::string& why) {
  throw Error(ErrorKind::kInfeasible, in_quotes(group), why);
}

void require_equal(const Plan& plan, const Scenario& scenario, const UniformGroup& first,
                   const UniformGroup& other, const std::string& tool) {
  const GroupPlan& a = *first.group;
  const GroupPlan& b = *other.group;
  const auto per_replica = [&](const GroupPlan& g) {
    return micro_batches_of(plan, g, scenario.workload.training);
  };
  if (per_replica(a) != per_replica(b)) {
    refuse(b, fmt::format("{} gives each replica the same micro-batches; those of group \"{}\" "
                          "take {}, those of this group {}; "
                          "nearest: --group with one of them, or equal micro_batches",
                          tool, a.name, per_replica(a), per_replica(b)));
  }
  if (first.tensor != other.tensor || first.layers != other.layers ||
      first.at.node_devices != other.at.node_devices ||
      a.training.context_parallel != b.training.context_parallel ||
      a.training.expert_parallel != b.training.expert_parallel ||
      a.training.virtual_stages != b.training.virtual_stages) {
    refuse(b, fmt::format("{} cuts the model in the same way for every replica, on nodes of the "
                          "same size; group \"{}\" is cut "
                          "otherwise; nearest: --group with one of them",
                          tool, a.name));
  }
}

}  // namespace

TrainingJob training_job(const Scenario& scenario, const std::string& tool) {
  TrainingJob job;
  std::map<std::string, Watts> limits;   // by pool; 0: none
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.role != Role::kTrain)
      refuse(group, tool + " trains; a serving plan is for vllm, sglang, trtllm or lindos");
    const UniformGroup shape = uniform_group(scenario, group, tool);
    if (job.shape.group == nullptr) job.shape = shape;
    require_equal(scenario.plan, scenario, job.shape, shape, tool);
    job.replicas += group.replicas;
    for (const std::string& pool : shape.at.pools) {
      if (const auto earlier = limits.emplace(pool, group.power_limit).first->second; earlier != group.power_limit) {
        refuse(group, fmt::format("nodes of one job are set up alike, and another group holds devices of pool \"{}\" to {}; "
                                  "nearest: one power limit for the pool",
                                  pool, earlier.value() > 0.0 ? fmt::format("{:g} W", earlier.value()) : "no limit"));
      }
    }
    job.at.power_limits.insert(shape.at.power_limits.begin(), shape.at.power_limits.end());
    for (const std::string& pool : shape.at.pools) {
      if (std::find(job.at.pools.begin(), job.at.pools.end(), pool) == job.at.pools.end())
        job.at.pools.push_back(pool);
    }
  }
  const GroupPlan& first = *job.shape.group;
  job.micro_batches = micro_batches_of(scenario.plan, first, scenario.workload.training);
  job.at.slug = scenario.plan.groups.size() == 1 ? job.shape.at.slug : "job";
  job.at.devices = job.replicas * job.shape.at.devices;
  const std::int64_t node_devices = pool_of(scenario, job.at.pools.front()).node.devices;
  job.at.node_devices = std::min(node_devices, job.at.devices);
  if (job.at.devices % job.at.node_devices != 0) {
    refuse(first, fmt::format("{} starts the same number of processes on every node; {} devices do "
                              "not fill nodes of {}",
                              tool, job.at.devices, node_devices));
  }
  job.at.nodes = job.at.devices / job.at.node_devices;
  return job;
}

Launch training_launch(const LaunchRequest& request, const TrainingJob& job,
                       const std::string& tool, const std::string& suffix,
                       const std::vector<std::string>& preparation, const std::string& program,
                       const std::vector<std::string>& flags) {
  const Scenario& scenario = request.scenario;
  std::string text = fmt::format(
      "#!/usr/bin/env bash\n"
      "# {} for plan \"{}\" ({}), model {}.\n"
      "# Written by `lindos export`; plan digest {}.\n"
      "# {} replica{} of {} device{}: {} node{} of {} from pool {}.\n"
      "# Data, learning rate, length and checkpoints are no part of a plan: give them as "
      "arguments.\n"
      "{}"
      "set -euo pipefail\n",
      tool, scenario.plan.name, scenario.name, scenario.model.name, digest(scenario.plan),
      job.replicas, job.replicas == 1 ? "" : "s", job.shape.at.devices,
      job.shape.at.devices == 1 ? "" : "s", job.at.nodes, job.at.nodes == 1 ? "" : "s",
      job.at.node_devices, fmt::join(job.at.pools, ", "), power_lines(job.at));
  if (job.at.nodes > 1) {
    text += fmt::format(
        "# The same script runs on each node.\n"
        ": \"${{NODE_RANK:?set NODE_RANK to 0 … {}}}\" \"${{MASTER_ADDR:?set MASTER_ADDR to the "
        "address of node 0}}\"\n",
        job.at.nodes - 1);
  }
  for (const std::string& line : preparation) text += line + "\n";
  text += fmt::format("exec torchrun --nproc-per-node {}", job.at.node_devices);
  text += job.at.nodes > 1 ? fmt::format(
                                 " --nnodes {} --node-rank \"$NODE_RANK\" --master-addr "
                                 "\"$MASTER_ADDR\" --master-port "
                                 "\"${{MASTER_PORT:-29500}}\"",
                                 job.at.nodes)
                           : std::string(" --standalone");
  text += " \\\n  " + program;
  for (const std::string& flag : flags) text += " \\\n  " + flag;
  text += " \\\n  \"$@\"\n";
  Launch launch;
  launch.at = job.at;
  launch.script = fmt::format("{}.{}.sh", job.at.slug, suffix);
  launch.files.push_back({launch.script, text, true});
  return launch;
}

}  // namespace lindos::cli
