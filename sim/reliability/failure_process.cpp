// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/failure_process.h"

#include <algorithm>
#include <limits>
#include <map>

#include "scenarios/error.h"
#include "scenarios/fault_units.h"
#include "scenarios/plan_pools.h"

namespace lindos::sim {
namespace {

std::int64_t rounded_up(std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; }

PoolNodes pool_nodes(const Pool& pool, std::int64_t devices) {
  PoolNodes nodes;
  nodes.name = pool.name;
  nodes.device = pool.node.device;
  nodes.devices_per_node = pool.node.devices;
  nodes.job = rounded_up(devices, pool.node.devices) / pool.node.devices;
  nodes.spares = pool.spares.value_or(std::max<std::int64_t>(0, pool.nodes - nodes.job));
  return nodes;
}

Plan training_groups(const Plan& plan) {
  Plan training;
  std::copy_if(plan.groups.begin(), plan.groups.end(), std::back_inserter(training.groups),
               [](const GroupPlan& group) { return group.role == Role::kTrain; });
  if (training.groups.empty()) {
    throw Error(ErrorKind::kInput, "plan",
                "no group has the role \"train\", so there is no job to interrupt");
  }
  return training;
}

// Mean number of events of the source whose repair is under way.
double events_in_repair(const FailureSource& source) {
  return event_rate(source).value() * source.repair.count();
}

}  // namespace

FailureProcess make_failure_process(const Scenario& scenario) {
  const Cluster& cluster = scenario.cluster;
  const std::map<std::string, std::int64_t> devices =
      devices_by_pool(training_groups(scenario.plan));
  FailureProcess process;
  process.repair_slots = cluster.faults.repair_slots;
  for (const Pool& pool : cluster.pools) {
    const auto used = devices.find(pool.name);
    if (used == devices.end()) continue;
    const PoolNodes nodes = pool_nodes(pool, used->second);
    for (const FaultClass& fault : cluster.faults.classes) {
      if (!occurs_in(fault, pool)) continue;
      process.sources.push_back({fault.name, process.pools.size(), fault.scope, fault.rate,
                                 units_of(fault.scope, pool, cluster.fabric, nodes.all()),
                                 nodes_per_unit(fault.scope, pool, cluster.fabric), fault.repair});
    }
    process.pools.push_back(nodes);
  }
  return process;
}

Hertz event_rate(const FailureSource& source) {
  return source.rate * static_cast<double>(source.units);
}

Hertz interruption_rate(const FailureProcess& process, const FailureSource& source) {
  const PoolNodes& pool = process.pools[source.pool];
  // Spares stand beside the job's nodes: a unit that holds both interrupts the job.
  const std::int64_t exposed = std::min(pool.all(), rounded_up(pool.job, source.nodes_per_unit));
  return event_rate(source) * (static_cast<double>(exposed) / static_cast<double>(pool.all()));
}

Seconds mean_time_between_interruptions(const FailureProcess& process) {
  Hertz sum{0};
  for (const FailureSource& source : process.sources) sum += interruption_rate(process, source);
  return Seconds(sum == Hertz{0} ? std::numeric_limits<double>::infinity() : 1.0 / sum.value());
}

double mean_nodes_out(const FailureProcess& process, std::size_t pool) {
  double nodes = 0.0;
  for (const FailureSource& source : process.sources) {
    if (source.pool != pool) continue;
    nodes += events_in_repair(source) *
             static_cast<double>(std::min(process.pools[pool].all(), source.nodes_per_unit));
  }
  return nodes;
}

std::int64_t nodes_out_quantile(const FailureProcess& process, std::size_t pool, double quantile) {
  LINDOS_ASSERT(quantile > 0.0 && quantile < 1.0, "a probability");
  const std::int64_t all = process.pools[pool].all();
  std::map<std::int64_t, double> weight_by_size;  // nodes × mean number of events that took so many
  for (const FailureSource& source : process.sources) {
    if (source.pool != pool) continue;
    const std::int64_t size = std::min(all, source.nodes_per_unit);
    weight_by_size[size] += static_cast<double>(size) * events_in_repair(source);
  }
  // p(n) = (1/n) Σ size · mean(size) · p(n − size), without the factor p(0) = e^−Σ mean that would
  // underflow.
  constexpr double kLarge = 1e250;
  std::vector<double> p{1.0};
  double sum = 1.0;
  for (std::int64_t n = 1; n <= all; ++n) {
    double next = 0.0;
    for (const auto& [size, weight] : weight_by_size) {
      if (size <= n) next += weight * p[static_cast<std::size_t>(n - size)];
    }
    p.push_back(next / static_cast<double>(n));
    sum += p.back();
    if (sum > kLarge) {
      for (double& value : p) value /= kLarge;
      sum /= kLarge;
    }
  }
  double covered = 0.0;
  for (std::int64_t n = 0; n < all; ++n) {
    covered += p[static_cast<std::size_t>(n)];
    if (covered >= quantile * sum) return n;
  }
  return all;
}

}  // namespace lindos::sim
