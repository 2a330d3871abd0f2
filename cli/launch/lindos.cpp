// SPDX-License-Identifier: Apache-2.0
// This project's own engine: the scenario and the plan as they are, started by `lindos run`.
#include <fmt/format.h>

#include "cli/launch/serving_script.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "`lindos run`";

Launch launch_for(const LaunchRequest& request, const GroupPlan& group) {
  const Scenario& scenario = request.scenario;
  if (group.role != Role::kBoth) {
    throw Error(
        ErrorKind::kInfeasible, in_quotes(group),
        std::string(kTool) + " serves prefill and decode in one place; nearest: role \"both\"");
  }
  Launch launch;
  launch.at = placement_of(scenario, group, kTool);
  const bool gpu = scenario.devices.at(pool_of(scenario, launch.at.pools.front()).node.device)
                       .compute_capability != 0;
  if (launch.at.nodes > 1 || (gpu && launch.at.devices > 1)) {
    throw Error(ErrorKind::kInfeasible, in_quotes(group),
                fmt::format("{} drives {} of one machine so far, and a replica of this group takes "
                            "{} in {} node{}; nearest: "
                            "`lindos plan --fit-here`, or another engine",
                            kTool, gpu ? "one GPU" : "the CPU", launch.at.devices, launch.at.nodes,
                            launch.at.nodes == 1 ? "" : "s"));
  }
  Scenario one = scenario;
  one.plan.groups = {group};
  one.plan.groups.front().replicas = 1;
  one.plan_given = true;
  const std::string config = launch.at.slug + ".toml";
  launch.script = launch.at.slug + ".lindos.sh";
  launch.files.push_back({launch.script,
                          fmt::format("#!/usr/bin/env bash\n"
                                      "# lindos for one replica of group \"{}\" of plan \"{}\".\n"
                                      "# Written by `lindos export`; plan digest {}.\n"
                                      "{}"
                                      "set -euo pipefail\n"
                                      "{}"
                                      "exec \"${{LINDOS:-lindos}}\" run \"$(dirname \"$0\")/{}\" "
                                      "${{MODEL:+--checkpoint \"$MODEL\"}} \"$@\"\n",
                                      group.name, scenario.plan.name, digest(scenario.plan), power_lines(launch.at),
                                      request.model.empty() ? "" : model_line(request), config),
                          true});
  launch.files.push_back({config, to_toml(one), false});
  return launch;
}

}  // namespace

std::vector<Launch> launch_lindos(const LaunchRequest& request) {
  std::vector<Launch> launches;
  for (const GroupPlan& group : request.scenario.plan.groups) {
    if (group.role == Role::kTrain) {
      throw Error(ErrorKind::kInfeasible, in_quotes(group),
                  std::string(kTool) + " serves; a training plan is for megatron or deepspeed");
    }
    launches.push_back(launch_for(request, group));
  }
  return launches;
}

}  // namespace lindos::cli
