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
#include "scenarios/training_memory.h"

namespace lindos {
namespace {

// Sequences that must find room in the KV cache beside the weights: fewer would decode at a batch so small
// that one more device pays at once.
constexpr std::int64_t kLeastSequences = 8;
// Wider groups gain little: their messages cross the node, and their GEMMs become narrow.
constexpr int kMostTensorRanks = 8;

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
  return std::clamp<std::int64_t>(lindos::longest_request(serving), 1,
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

// The largest power of two of ranks that a node's domain and the heads allow.
int widest_tensor(const Scenario& scenario, const Pool& pool, const Device& device) {
  const int domain = std::max(1, std::min(pool.node.devices, device.scale_up_domain));
  int tensor = 1;
  while (2 * tensor <= std::min(domain, kMostTensorRanks) &&
         2 * tensor <= scenario.model.q_heads) {
    tensor *= 2;
  }
  return tensor;
}

// Tensor degrees up to the domain in powers of two, then more stages at the largest, as long as the pool has
// one such group.
std::vector<Degrees> candidates(const Scenario& scenario, const Pool& pool, const Device& device) {
  std::vector<Degrees> out;
  const int widest = widest_tensor(scenario, pool, device);
  for (int tensor = 1; tensor <= widest; tensor *= 2) out.push_back({tensor, 1});
  for (int stages = 2; stages <= scenario.model.layers; ++stages) {
    if (replicas_in(pool, {widest, stages}) < 1) break;
    out.push_back({widest, stages});
  }
  return out;
}

GroupPlan make_group(const Scenario& scenario, const Pool& pool, const Device& device,
                     const Degrees& degrees, const EngineLimits& limits) {
  const std::int64_t granule = device.compute_capability == 0 ? kCpuGranule : kGpuGranule;
  const std::vector<double> even(static_cast<std::size_t>(degrees.tensor), 1.0);
  // Checkpoints of models trained in wider formats are stored in these.
  const Dtype stored = scenario.model.dtype;
  const bool narrow = stored == Dtype::kFp4 || stored == Dtype::kInt8;
  const bool trains = scenario.workload.kind == WorkloadKind::kTraining;
  Plan plan = make_plan(scenario.model, pool.name, degrees.stages, even, {},
                        trains && narrow ? Dtype::kBf16 : stored, limits, granule);
  return std::move(plan.groups.front());
}

// Memory is not known before the probe has seen the machine, so the cache is what the workload can use.
GroupPlan cpu_group(const Scenario& scenario, const Pool& pool, const Device& device) {
  EngineLimits limits;
  if (scenario.workload.kind == WorkloadKind::kServing) {
    const std::int64_t requests = expected_requests(scenario.workload.serving);
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
  limits.block_tokens = kGpuBlockTokens;
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
    const std::int64_t sequences = std::min(expected_requests(scenario.workload.serving), kLeastSequences);
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

// The largest number of replicas, at most `available`, that share `batches` micro-batches out evenly.
std::int64_t even_replicas(std::int64_t available, std::int64_t batches) {
  std::int64_t replicas = std::min(available, batches);
  while (batches % replicas != 0) --replicas;
  return replicas;
}

// One synchronous job: replicas of all pools have the same degrees, and the global batch is dealt out over them.
// A pool that is too small for one replica is left out. Empty: no pool has room for one.
std::vector<GroupPlan> training_groups(const Scenario& scenario, const Degrees& degrees) {
  const TrainingWorkload& training = scenario.workload.training;
  std::int64_t available = 0;
  for (const Pool& pool : scenario.cluster.pools) available += replicas_in(pool, degrees);
  if (available == 0) return {};
  const std::int64_t batches =
      std::max<std::int64_t>(1, training.global_batch / std::max<std::int64_t>(1, training.micro_batch));
  const std::int64_t replicas = even_replicas(available, batches);

  std::vector<GroupPlan> groups;
  std::int64_t before = 0;  // of `available`, in the pools so far
  for (const Pool& pool : scenario.cluster.pools) {
    const std::int64_t after = before + replicas_in(pool, degrees);
    const std::int64_t own = after * replicas / available - before * replicas / available;
    before = after;
    if (own == 0) continue;
    GroupPlan group = make_group(scenario, pool, device_of(scenario, pool), degrees, {});
    group.role = Role::kTrain;
    group.replicas = own;
    group.training.zero_stage = 1;
    group.training.sequence_parallel =
        degrees.tensor > 1 && training.sequence % degrees.tensor == 0;
    groups.push_back(std::move(group));
  }
  return groups;
}

// Why the fullest rank of a group does not fit its device, if it does not.
std::optional<std::string> does_not_fit(const Scenario& scenario, const Plan& plan) {
  for (const GroupPlan& group : plan.groups) {
    const auto pool = std::find_if(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                                   [&](const Pool& p) { return p.name == group.name; });
    const std::vector<std::vector<Bytes>> memory(
        group.stages.size(), std::vector<Bytes>(group.stages.front().ranks.size(),
                                                device_of(scenario, *pool).memory));
    const auto answer = fits_in_training(plan, group, scenario.model, scenario.workload.training,
                                         memory, WaysOut::kNone);
    if (const auto* infeasible = std::get_if<Infeasible>(&answer)) return infeasible->reason;
  }
  return std::nullopt;
}

// The shortest pipeline, of the widest tensor group that all pools have, that fits all of them.
Plan training_plan(const Scenario& scenario) {
  Degrees degrees{kMostTensorRanks, 1};
  for (const Pool& pool : scenario.cluster.pools) {
    degrees.tensor =
        std::min(degrees.tensor, widest_tensor(scenario, pool, device_of(scenario, pool)));
  }
  std::optional<std::string> reason = "the cluster has no pools";
  for (; degrees.stages <= scenario.model.layers; ++degrees.stages) {
    Plan plan{"default", training_groups(scenario, degrees)};
    if (plan.groups.empty()) break;
    reason = does_not_fit(scenario, plan);
    if (!reason) return plan;
  }
  throw Error(ErrorKind::kInfeasible, "", "training " + scenario.model.name + ": " + *reason);
}

}  // namespace

Plan default_plan(const Scenario& scenario) {
  if (scenario.workload.kind == WorkloadKind::kTraining) return training_plan(scenario);
  Plan plan;
  plan.name = "default";
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
