// SPDX-License-Identifier: Apache-2.0
#include "cli/launch/serving_script.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"
#include "scenarios/plan_show.h"

namespace lindos::cli {

namespace {

std::vector<UniformGroup> serving_groups(const Scenario& scenario, const std::string& tool) {
  std::vector<UniformGroup> out;
  for (const GroupPlan& group : scenario.plan.groups) {
    const std::string where = in_quotes(group);
    if (group.role == Role::kTrain) {
      throw Error(ErrorKind::kInfeasible, where,
                  tool + " serves; a training plan is for megatron or deepspeed");
    }
    UniformGroup shape = uniform_group(scenario, group, tool);
    for (const std::string& name : shape.at.pools) {
      if (scenario.devices.at(pool_of(scenario, name).node.device).compute_capability == 0) {
        throw Error(ErrorKind::kInfeasible, where,
                    fmt::format("pool \"{}\" has no CUDA devices, and the flags for {} are those "
                                "of NVIDIA GPUs; `lindos run` "
                                "serves the plan here",
                                name, tool));
      }
    }
    for (const UniformGroup& other : out) {
      if (other.at.slug == shape.at.slug) shape.at.slug += "-2";
    }
    out.push_back(std::move(shape));
  }
  return out;
}

}  // namespace

std::string model_line(const LaunchRequest& request) {
  if (!request.model.empty())
    return fmt::format("MODEL=${{MODEL:-{}}}\n", shell_quoted(request.model));
  return ": \"${MODEL:?set MODEL to the checkpoint: a folder or a name that the engine can "
         "load}\"\n";
}

std::string shell_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

Launch launch_of(const LaunchRequest& request, const UniformGroup& shape,
                 const ServingScript& script) {
  const Scenario& scenario = request.scenario;
  const GroupPlan& group = *shape.group;
  const Placement& at = shape.at;
  std::string text = fmt::format(
      "#!/usr/bin/env bash\n"
      "# {} for one replica of group \"{}\" of plan \"{}\" ({}), model {}.\n"
      "# Written by `lindos export`; plan digest {}.\n"
      "# {} replica{} of {} device{} of pool {}, {}, routing weight {:g}.\n",
      script.tool, group.name, scenario.plan.name, scenario.name, scenario.model.name,
      digest(scenario.plan), group.replicas, group.replicas == 1 ? "" : "s", at.devices,
      at.devices == 1 ? "" : "s", fmt::join(at.pools, ", "), name_of(group.role),
      group.routing_weight);
  for (const std::string& note : script.notes) text += "# " + note + "\n";
  text += power_lines(at) + "set -euo pipefail\n" + model_line(request);
  if (at.nodes > 1 && !script.over_mpi) {
    text += fmt::format(
        "# The same script runs on each of the replica's {} nodes.\n"
        ": \"${{NODE_RANK:?set NODE_RANK to 0 … {}}}\" \"${{MASTER_ADDR:?set MASTER_ADDR to the "
        "address of node 0}}\"\n",
        at.nodes, at.nodes - 1);
  }
  for (const std::string& line : script.preparation) text += line + "\n";
  text += "exec " + script.command;
  for (const std::string& flag : script.flags) text += " \\\n  " + flag;
  text += " \\\n  \"$@\"\n";
  Launch launch;
  launch.at = at;
  launch.script = fmt::format("{}.{}.sh", at.slug, script.suffix);
  launch.files.push_back({launch.script, text, true});
  launch.port = script.port;
  return launch;
}

std::vector<Launch> launch_each(const LaunchRequest& request, const std::string& tool,
                                Launch (*launch)(const LaunchRequest&, const UniformGroup&)) {
  std::vector<Launch> launches;
  for (const UniformGroup& shape : serving_groups(request.scenario, tool)) launches.push_back(launch(request, shape));
  return launches;
}

std::string torch_name(Dtype dtype, const std::string& where) {
  switch (dtype) {
    case Dtype::kF32:
      return "float32";
    case Dtype::kF16:
      return "float16";
    case Dtype::kBf16:
      return "bfloat16";
    default:
      break;
  }
  throw Error(ErrorKind::kInfeasible, where,
              fmt::format("activations in {} have no flag; nearest: bf16", name_of(dtype)));
}

}  // namespace lindos::cli
