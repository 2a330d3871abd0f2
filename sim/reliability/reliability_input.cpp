// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/reliability_input.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/quantity_text.h"

namespace lindos::sim {
namespace {

ReplicaShape replica_shape(const GroupPlan& group, const FailureProcess& process) {
  const auto devices = devices_per_replica(group);
  ReplicaShape shape{group.name, group.replicas, {}};
  for (const PoolNodes& pool : process.pools) {
    const auto found = devices.find(pool.name);
    shape.devices.push_back(found == devices.end() ? 0 : found->second);
  }
  return shape;
}

// The save that runs beside the steps must end before the next begins.
Seconds shortest_interval(const CheckpointCost& cost) {
  return std::max(Seconds{0}, cost.commit_delay - cost.blocking);
}

RenewalCycle cycle_with(const ReliabilityInput& input, Seconds interval) {
  return {interval, input.checkpoint.blocking, input.checkpoint.commit_delay, input.outage(),
          mean_time_between_interruptions(input.process)};
}

}  // namespace

ReliabilityInput make_reliability_input(const Scenario& scenario, Seconds step) {
  LINDOS_ASSERT(step > Seconds{0}, "a step takes time");
  ReliabilityInput input;
  input.process = make_failure_process(scenario);
  Dtype weights = Dtype::kBf16;
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.role != Role::kTrain) continue;
    input.groups.push_back(replica_shape(group, input.process));
    weights = group.weight_dtype;
  }
  std::int64_t nodes = 0;
  for (const PoolNodes& pool : input.process.pools) nodes += pool.job;
  const CheckpointPolicy& policy = scenario.workload.training.checkpoint;
  input.checkpoint = checkpoint_cost(checkpoint_bytes(scenario.model, weights), policy,
                                     scenario.cluster.storage, nodes);
  input.interval = policy.interval;
  if (policy.interval > Seconds{0} && policy.interval < shortest_interval(input.checkpoint)) {
    const auto whole = [](Seconds time) {
      return std::to_string(std::llround(std::ceil(time.count()))) + " s";
    };
    throw Error(ErrorKind::kInput, "workload.checkpoint.interval",
                "a save is written for " + whole(input.checkpoint.commit_delay) +
                    ", so the next cannot begin " + format(policy.interval) +
                    " after it; the shortest interval is " +
                    whole(shortest_interval(input.checkpoint)));
  }
  const Faults& faults = scenario.cluster.faults;
  input.step = step;
  input.detect = faults.detect;
  input.restart = faults.restart;
  input.warm_up = faults.warm_up;
  input.without_spare = faults.without_spare;
  input.rate_sigma = faults.rate_sigma;
  return input;
}

Seconds interval_in_steps(const ReliabilityInput& input) {
  LINDOS_ASSERT(input.step > Seconds{0}, "a step takes time");
  const RenewalCycle cycle = cycle_with(input, input.step);
  const double fewest = std::max(1.0, std::ceil(shortest_interval(input.checkpoint) / input.step));
  if (input.interval > Seconds{0}) {
    return input.step * std::max(fewest, std::round(input.interval / input.step));
  }
  if (std::isinf(cycle.mtbi.count())) return std::max(input.horizon, input.step * fewest);
  if (cycle.blocking == Seconds{0}) return input.step * fewest;
  // The exact form has one maximum, so the best whole number of steps is beside it.
  const double below = std::max(fewest, std::floor(swept_interval(cycle) / input.step));
  const auto productive = [&](double steps) {
    return closed_shares(cycle_with(input, input.step * steps)).productive;
  };
  return input.step * (productive(below + 1.0) > productive(below) ? below + 1.0 : below);
}

RenewalCycle renewal_cycle(const ReliabilityInput& input) {
  return cycle_with(input, interval_in_steps(input));
}

}  // namespace lindos::sim
