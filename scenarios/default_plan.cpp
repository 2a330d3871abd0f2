// SPDX-License-Identifier: Apache-2.0
// The plan of a scenario that gives none: per pool the smallest group of devices that holds the model.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/capacity.h"
#include "scenarios/error.h"
#include "scenarios/scenario.h"

namespace lindos {
namespace {

// Sequences that must find room in the KV cache beside the weights: fewer would decode at a batch so small
// that one more device pays at once.
constexpr std::int64_t kLeastSequences = 8;
// Share of a training device's memory for weights, gradients and optimizer; the rest holds activations.
constexpr double kTrainingState = 0.6;

const Device& device_of(const Scenario& scenario, const Pool& pool) {
  const auto found = scenario.devices.find(pool.node.device);
  if (found == scenario.devices.end()) {
    throw Error(ErrorKind::kInput, "",
                "pool \"" + pool.name + "\" names device \"" + pool.node.device +
                    "\", which the scenario does not hold");
  }
  return found->second;
}

std::int64_t blocks_for(std::int64_t sequences, std::int64_t tokens, const EngineLimits& limits) {
  return sequences * ((tokens + limits.block_tokens - 1) / limits.block_tokens);
}

std::int64_t longest_request(const Scenario& scenario) {
  const ServingWorkload& serving = scenario.workload.serving;
  return std::clamp<std::int64_t>(serving.prompt.high + serving.output.high, 1,
                                  scenario.model.max_positions);
}

struct Degrees {
  int tensor = 1;
  int stages = 1;
};

// Whole groups in a pool: a tensor group does not leave its node.
std::int64_t replicas_in(const Pool& pool, const Degrees& degrees) {
  return pool.nodes * (pool.node.devices / degrees.tensor) / degrees.stages;
}

// Tensor degrees up to the domain in powers of two, then more stages at the largest, as long as the pool has
// one such group.
std::vector<Degrees> candidates(const Scenario& scenario, const Pool& pool, const Device& device) {
  const int domain = std::max(1, std::min(pool.node.devices, device.scale_up_domain));
  std::vector<Degrees> out;
  int tensor = 1;
  while (tensor <= domain && tensor <= scenario.model.q_heads && tensor <= 8) {
    out.push_back({tensor, 1});
    tensor *= 2;
  }
  tensor = out.back().tensor;
  for (int stages = 2; stages <= scenario.model.layers; ++stages) {
    if (replicas_in(pool, {tensor, stages}) < 1) break;
    out.push_back({tensor, stages});
  }
  return out;
}

GroupPlan make_group(const Scenario& scenario, const Pool& pool, const Device& device,
                     const Degrees& degrees, const EngineLimits& limits) {
  const std::int64_t granule = device.compute_capability == 0 ? kCpuGranule : kGpuGranule;
  const std::vector<double> even(static_cast<std::size_t>(degrees.tensor), 1.0);
  Plan plan = make_plan(scenario.model, pool.name, degrees.stages, even, {}, scenario.model.dtype,
                        limits, granule);
  return std::move(plan.groups.front());
}

// Memory is not known before the probe has seen the machine, so the cache is what the workload can use.
GroupPlan cpu_group(const Scenario& scenario, const Pool& pool, const Device& device) {
  EngineLimits limits;
  if (scenario.workload.kind == WorkloadKind::kServing) {
    const std::int64_t requests = std::max<std::int64_t>(1, scenario.workload.serving.requests);
    limits.max_sequences = std::min(limits.max_sequences, requests);
    limits.max_context = longest_request(scenario);
    limits.kv_blocks = blocks_for(limits.max_sequences, limits.max_context, limits);
    // A step's scratch is allocated at this size; longer prompts run in chunks.
    limits.max_batched_tokens = 512;
    limits.prefill_chunk = 512;
  }
  return make_group(scenario, pool, device, {1, 1}, limits);
}

std::optional<GroupPlan> serving_group(const Scenario& scenario, const Pool& pool,
                                       const Device& device, std::string& reason) {
  EngineLimits limits;
  limits.block_tokens = 64;  // one bulk copy per page on current GPUs (engine handbook, section 8)
  limits.max_context = longest_request(scenario);
  for (const Degrees& degrees : candidates(scenario, pool, device)) {
    GroupPlan group = make_group(scenario, pool, device, degrees, limits);
    const std::vector<std::vector<Bytes>> memory(
        group.stages.size(),
        std::vector<Bytes>(static_cast<std::size_t>(degrees.tensor), device.memory));
    const auto answer = kv_capacity(scenario.model, group, memory);
    if (const auto* infeasible = std::get_if<Infeasible>(&answer)) {
      reason = infeasible->reason;
      continue;
    }
    const std::int64_t sequences = std::clamp<std::int64_t>(scenario.workload.serving.requests, 1,
                                                            kLeastSequences);
    const std::int64_t needed = blocks_for(sequences, limits.max_context, limits);
    if (std::get<Capacity>(answer).kv_blocks < needed) {
      reason = std::to_string(sequences) + " sequences need " + std::to_string(needed) +
               " KV blocks; " + std::to_string(std::get<Capacity>(answer).kv_blocks) + " fit";
      continue;
    }
    group.replicas = replicas_in(pool, degrees);
    // Decode speed follows memory bandwidth; the router weighs replicas by it.
    group.routing_weight =
        device.memory_bandwidth.value() * static_cast<double>(group.ranks_per_replica()) / 1e12;
    return group;
  }
  return std::nullopt;
}

// Bytes per parameter of mixed-precision training: bf16 weights and gradients on every replica; fp32 master
// copy and two moments split over the replicas (ZeRO stage 1).
double training_bytes(double replicas) { return 2.0 + 2.0 + 12.0 / replicas; }

std::optional<Degrees> training_degrees(const Scenario& scenario, const Pool& pool,
                                        const Device& device) {
  const double parameters = static_cast<double>(parameter_count(scenario.model));
  const std::vector<Degrees> all = candidates(scenario, pool, device);
  const int tensor = std::max_element(all.begin(), all.end(), [](const Degrees& a, const Degrees& b) {
                       return a.tensor < b.tensor;
                     })->tensor;
  for (const Degrees& degrees : all) {
    if (degrees.tensor != tensor) continue;
    const auto replicas = static_cast<double>(replicas_in(pool, degrees));
    if (replicas < 1.0) break;
    // The fullest stage has ⌈layers / stages⌉ layers; embedding and head ride along on the ends.
    const Bytes state{parameters / (degrees.tensor * degrees.stages) * training_bytes(replicas)};
    if (state <= kTrainingState * device.memory) return degrees;
  }
  return std::nullopt;
}

// One synchronous job: all pools use the degrees of the pool that needs the most devices per replica, so that
// replicas are alike, and the global batch is dealt out over all of them.
std::vector<GroupPlan> training_groups(const Scenario& scenario) {
  Degrees common{8, 1};
  int devices = 1;
  for (const Pool& pool : scenario.cluster.pools) {
    const auto degrees = training_degrees(scenario, pool, device_of(scenario, pool));
    if (!degrees) {
      throw Error(ErrorKind::kInfeasible, "",
                  "training " + scenario.model.name + ": pool \"" + pool.name + "\" of " +
                      std::to_string(pool.devices()) +
                      " devices cannot hold weights, gradients and optimizer in " +
                      std::to_string(std::lround(100.0 * kTrainingState)) + " % of its memory");
    }
    common.tensor = std::min(common.tensor, degrees->tensor);
    devices = std::max(devices, degrees->tensor * degrees->stages);
  }
  common.stages = static_cast<int>(std::min<std::int64_t>(
      scenario.model.layers, (devices + common.tensor - 1) / common.tensor));
  std::int64_t replicas = 0;
  for (const Pool& pool : scenario.cluster.pools) replicas += replicas_in(pool, common);
  const TrainingWorkload& training = scenario.workload.training;
  const std::int64_t batches =
      std::max<std::int64_t>(1, training.global_batch / std::max<std::int64_t>(1, training.micro_batch));

  std::vector<GroupPlan> groups;
  for (const Pool& pool : scenario.cluster.pools) {
    std::int64_t own = replicas_in(pool, common);
    if (own == 0) continue;
    GroupPlan group = make_group(scenario, pool, device_of(scenario, pool), common, {});
    group.role = Role::kTrain;
    // A replica without a micro-batch would only wait, so surplus replicas are left out evenly.
    if (replicas > batches) own = std::max<std::int64_t>(1, own * batches / replicas);
    group.replicas = own;
    group.training.zero_stage = 1;
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

Plan default_plan(const Scenario& scenario) {
  Plan plan;
  plan.name = "default";
  if (scenario.workload.kind == WorkloadKind::kTraining) {
    plan.groups = training_groups(scenario);
    return plan;
  }
  std::string reason = "the cluster has no pools";
  for (const Pool& pool : scenario.cluster.pools) {
    const Device& device = device_of(scenario, pool);
    if (device.compute_capability == 0) {
      plan.groups.push_back(cpu_group(scenario, pool, device));
    } else if (auto group = serving_group(scenario, pool, device, reason)) {
      plan.groups.push_back(std::move(*group));
    }
  }
  // A pool too small for one copy stays idle as long as another serves.
  if (plan.groups.empty()) throw Error(ErrorKind::kInfeasible, "", reason);
  return plan;
}

}  // namespace lindos
