// SPDX-License-Identifier: Apache-2.0
// A plan in the words of the tools that people already run: flags of serving engines, arguments of
// training frameworks, jobs of cluster managers. A tool that cannot say what the plan says is
// refused with the reason, never approximated. Pure: a scenario in, texts out. docs/export.md has
// what each tool can and cannot express.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenarios/scenario.h"

namespace lindos::cli {

struct LaunchFile {
  std::string name;  // without folder, e.g. "h100.vllm.sh"
  std::string text;
  bool executable = false;
};

struct LaunchRequest {
  const Scenario& scenario;
  std::string model;  // checkpoint that scripts load; empty: from MODEL in their environment
  std::string image;  // container; empty: the engine's usual one
};

// Where the devices of one replica lie; of one training job, where those of all its replicas lie.
struct Placement {
  std::string slug;                // of the group's name: letters, digits, '-'
  std::vector<std::string> pools;  // those that devices come from, in the order of the stages
  std::int64_t replicas = 1;       // started apart from each other; 1 for a training job
  std::int64_t devices = 1;        // per replica, context-parallel ranks included
  std::int64_t node_devices = 1;   // devices of a node that one replica takes
  std::int64_t nodes = 1;          // per replica
  std::map<std::string, Watts> power_limits;  // by pool: what each device is to be held to before the start
};

// What starts one replica: `script` is one of `files`, run on each node of the replica with
// NODE_RANK and MASTER_ADDR in its environment where there are several.
struct Launch {
  Placement at;
  std::vector<LaunchFile> files;
  std::string script;
  std::int64_t tasks_per_node = 1;  // processes of `script` on a node: one, or one per device
  std::int64_t port = 0;  // that node 0 answers HTTP on unless PORT says otherwise; 0 = none
  std::string image;      // the engine's usual container; empty: there is none
};

using Launcher = std::vector<Launch> (*)(const LaunchRequest&);

// Each throws Error{kInfeasible} with group, reason and nearest remedy for what the tool cannot
// express.
[[nodiscard]] std::vector<Launch> launch_vllm(const LaunchRequest& request);
[[nodiscard]] std::vector<Launch> launch_sglang(const LaunchRequest& request);
[[nodiscard]] std::vector<Launch> launch_trtllm(const LaunchRequest& request);
// The engine of this project: the plan as it is, uneven shares included.
[[nodiscard]] std::vector<Launch> launch_lindos(const LaunchRequest& request);
// Training, one job for all groups. Megatron-LM: a script with its arguments; DeepSpeed: its JSON,
// for plans of data parallelism and ZeRO.
[[nodiscard]] std::vector<Launch> launch_megatron(const LaunchRequest& request);
[[nodiscard]] std::vector<Launch> launch_deepspeed(const LaunchRequest& request);

// Jobs that start what a launcher wrote. An sbatch script for each launch, an array over its
// replicas.
[[nodiscard]] std::vector<LaunchFile> slurm_jobs(const LaunchRequest& request,
                                                 const std::vector<Launch>& launches);
// A manifest for each launch: ConfigMap, Service and Deployment, or LeaderWorkerSet for replicas of
// several nodes.
[[nodiscard]] std::vector<LaunchFile> kubernetes_manifests(const LaunchRequest& request,
                                                           const std::vector<Launch>& launches);

}  // namespace lindos::cli
