// SPDX-License-Identifier: Apache-2.0
// sbatch scripts: one for each launch, an array over its replicas.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/launch/placement.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

LaunchFile job_of(const LaunchRequest& request, const Launch& launch) {
  const Placement& at = launch.at;
  const bool gpu =
      request.scenario.devices.at(pool_of(request.scenario, at.pools.front()).node.device)
          .compute_capability != 0;
  std::string text = fmt::format(
      "#!/usr/bin/env bash\n"
      "# Starts {} on {} node{} of pool {}{}; `sbatch {}.sbatch` in this folder.\n"
      "# Written by `lindos export`; plan digest {}. A pool is found by a node feature of its "
      "name.\n"
      "#SBATCH --job-name={}\n"
      "#SBATCH --nodes={}\n"
      "#SBATCH --ntasks-per-node={}\n"
      "#SBATCH --constraint=\"{}\"\n",
      launch.script, at.nodes, at.nodes == 1 ? "" : "s", fmt::join(at.pools, ", "),
      at.replicas > 1 ? fmt::format(", {} times", at.replicas) : std::string(), at.slug,
      digest(request.scenario.plan), at.slug, at.nodes, launch.tasks_per_node,
      fmt::join(at.pools, "|"));
  if (gpu) text += fmt::format("#SBATCH --gpus-per-node={}\n", at.node_devices);
  if (at.node_devices == pool_of(request.scenario, at.pools.front()).node.devices)
    text += "#SBATCH --exclusive\n";
  // An array is limited by MaxArraySize of the site, 1001 unless raised; its size is an upper bound
  // of a partial start.
  if (at.replicas > 1) text += fmt::format("#SBATCH --array=0-{}\n", at.replicas - 1);
  if (!at.power_limits.empty()) text += power_lines(at) + "# The site's Prolog runs as root.\n";
  text += "set -euo pipefail\n";
  if (at.nodes > 1) {
    // `head` would leave before scontrol has written a long list; pipefail then ends the job.
    text +=
        "MASTER_ADDR=$(scontrol show hostnames \"$SLURM_JOB_NODELIST\" | sed -n 1p)\nexport "
        "MASTER_ADDR\n";
  }
  if (launch.port != 0) {
    text +=
        "# Replicas that share a node need ports of their own.\nexport PORT=${PORT:-$((20000 + "
        "SLURM_JOB_ID % 20000))}\n"
        "echo \"replica ${SLURM_ARRAY_TASK_ID:-0}: http://$(hostname):$PORT\"\n";
  }
  text += fmt::format(
      "export SCRIPT=$SLURM_SUBMIT_DIR/{}\n"
      "srun --kill-on-bad-exit=1 bash -c 'export NODE_RANK=$SLURM_NODEID; exec \"$SCRIPT\" \"$@\"' "
      "_ \"$@\"\n",
      launch.script);
  return {at.slug + ".sbatch", text, false};
}

}  // namespace

std::vector<LaunchFile> slurm_jobs(const LaunchRequest& request,
                                   const std::vector<Launch>& launches) {
  std::vector<LaunchFile> files;
  for (const Launch& launch : launches) {
    if (launch.at.pools.size() > 1 && launch.at.replicas > 1) {
      throw Error(ErrorKind::kInfeasible, fmt::format("{}", launch.at.slug),
                  fmt::format("a replica takes nodes of pools {}, and an element of a job array "
                              "has one kind of node; nearest: one "
                              "replica, or a group for each pool",
                              fmt::join(launch.at.pools, ", ")));
    }
    require_one_limit_per_node(request.scenario, launch);
    for (const LaunchFile& file : launch.files) files.push_back(file);
    files.push_back(job_of(request, launch));
  }
  return files;
}

}  // namespace lindos::cli
