// SPDX-License-Identifier: Apache-2.0
// Manifests: the launch's files in a ConfigMap, a Service, and a Deployment of the replicas, or a
// LeaderWorkerSet (leaderworkerset.x-k8s.io/v1) where a replica takes several nodes.
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/launch/placement.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

// A JSON string is a YAML string.
std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

std::string indented(const std::string& text, int columns) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) out += std::string(static_cast<std::size_t>(columns), ' ') + line;
    out += '\n';
  }
  return out;
}

std::string config_map(const Launch& launch) {
  std::string text = fmt::format("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}\ndata:\n",
                                 launch.at.slug);
  for (const LaunchFile& file : launch.files)
    text += fmt::format("  {}: |\n{}", quoted(file.name), indented(file.text, 4));
  return text;
}

std::string service(const Launch& launch) {
  return fmt::format(
      "apiVersion: v1\nkind: Service\nmetadata:\n  name: {0}\nspec:\n  selector: {{app: {0}, role: "
      "leader}}\n"
      "  ports:\n  - {{name: http, port: 80, targetPort: {1}}}\n",
      launch.at.slug, launch.port);
}

enum class Member { kLeader, kWorker };

// Pod template without its head line; column 0.
std::string pod(const LaunchRequest& request, const Launch& launch, Member member) {
  const Placement& at = launch.at;
  const bool leader = member == Member::kLeader;
  // The controller of a LeaderWorkerSet gives its pods LWS_LEADER_ADDRESS and LWS_WORKER_INDEX.
  const std::string command =
      at.nodes == 1
          ? fmt::format("[/lindos/{}]", launch.script)
          : fmt::format(
                "[bash, -c, {}]",
                quoted(fmt::format("MASTER_ADDR=$LWS_LEADER_ADDRESS NODE_RANK=$LWS_WORKER_INDEX "
                                   "exec /lindos/{}",
                                   launch.script)));
  std::string text = fmt::format(
      "metadata:\n"
      "  labels: {{app: {0}, role: {1}}}\n"
      "spec:\n"
      "  nodeSelector: {{lindos.pool: {2}}}\n"
      "  containers:\n"
      "  - name: engine\n"
      "    image: {3}\n"
      "    command: {4}\n"
      "    env:\n"
      "    - {{name: MODEL, value: {5}}}\n"
      "    - {{name: PORT, value: \"{6}\"}}\n",
      at.slug, leader ? "leader" : "worker", quoted(at.pools.front()),
      quoted(request.image.empty() ? launch.image : request.image), command, quoted(request.model),
      launch.port);
  text += fmt::format("    resources: {{limits: {{nvidia.com/gpu: {}}}}}\n", at.node_devices);
  if (leader) {
    text += fmt::format(
        "    ports:\n    - {{containerPort: {0}}}\n    readinessProbe:\n      httpGet: {{path: "
        "/health, port: {0}}}\n"
        "      periodSeconds: 10\n",
        launch.port);
  }
  text += fmt::format(
      "    volumeMounts:\n"
      "    - {{name: launch, mountPath: /lindos}}\n"
      "    - {{name: shm, mountPath: /dev/shm}}\n"
      "  volumes:\n"
      "  - {{name: launch, configMap: {{name: {}, defaultMode: 0755}}}}\n"
      "  - {{name: shm, emptyDir: {{medium: Memory}}}}\n",
      at.slug);
  return text;
}

std::string workload(const LaunchRequest& request, const Launch& launch) {
  const Placement& at = launch.at;
  if (at.nodes == 1) {
    return fmt::format(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {0}\nspec:\n  replicas: {1}\n"
        "  selector: {{matchLabels: {{app: {0}}}}}\n  template:\n{2}",
        at.slug, at.replicas, indented(pod(request, launch, Member::kLeader), 4));
  }
  return fmt::format(
      "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata:\n  name: "
      "{}\nspec:\n  replicas: {}\n"
      "  leaderWorkerTemplate:\n    size: {}\n    restartPolicy: RecreateGroupOnPodRestart\n"
      "    leaderTemplate:\n{}    workerTemplate:\n{}",
      at.slug, at.replicas, at.nodes, indented(pod(request, launch, Member::kLeader), 6),
      indented(pod(request, launch, Member::kWorker), 6));
}

void require_expressible(const LaunchRequest& request, const Launch& launch) {
  const auto refuse = [&](const std::string& why) {
    throw Error(ErrorKind::kInfeasible, launch.at.slug, why);
  };
  if (launch.port == 0)
    refuse("the manifests are those of services, which answer HTTP; nearest: slurm");
  if (launch.at.pools.size() > 1)
    refuse(
        "a replica takes nodes of several pools, and all pods of a set have one node selector; "
        "nearest: slurm");
  if (launch.tasks_per_node > 1)
    refuse(
        "its ranks start over MPI, which a LeaderWorkerSet does not bring; nearest: engine vllm or "
        "sglang");
  if (request.image.empty() && launch.image.empty()) {
    throw Error(ErrorKind::kUsage, "--image",
                "this engine has no usual container; name the one that holds it");
  }
}

}  // namespace

std::vector<LaunchFile> kubernetes_manifests(const LaunchRequest& request,
                                             const std::vector<Launch>& launches) {
  if (request.model.empty()) {
    throw Error(ErrorKind::kUsage, "--model",
                "pods do not see this shell's MODEL; name the checkpoint that they load");
  }
  std::vector<LaunchFile> files;
  for (const Launch& launch : launches) {
    require_expressible(request, launch);
    require_one_limit_per_node(request.scenario, launch);
    std::string text = fmt::format(
        "# Group \"{}\" of plan \"{}\"; written by `lindos export`, plan digest {}.\n"
        "# Its pool is found by a label: kubectl label node NODE lindos.pool={}\n",
        launch.at.slug, request.scenario.plan.name, digest(request.scenario.plan),
        launch.at.pools.front());
    if (launch.at.nodes > 1) text += "# Needs the LeaderWorkerSet controller.\n";
    text += power_lines(launch.at);
    text += config_map(launch) + "---\n" + service(launch) + "---\n" + workload(request, launch);
    files.push_back({launch.at.slug + ".yaml", text, false});
  }
  return files;
}

}  // namespace lindos::cli
