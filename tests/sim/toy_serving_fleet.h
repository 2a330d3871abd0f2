// SPDX-License-Identifier: Apache-2.0
// A fleet of the toy device: two groups with unlike limits, near saturation, so that goodput lies well inside (0, 1)
// and replicas differ by chance.
#pragma once

#include <cstdint>

#include "scenarios/balance.h"
#include "scenarios/scenario.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim::toy {

// `replicas` of the first group, half as many of the second.
inline Scenario fleet_scenario(std::uint64_t seed, std::int64_t replicas) {
  Scenario scenario;
  scenario.name = "toy fleet";
  scenario.model = model();
  scenario.devices["toy"] = host_device();
  Pool pool;
  pool.name = "cpu";
  pool.node.name = "toy-node";
  pool.node.device = "toy";
  pool.nodes = 2 * replicas;
  scenario.cluster.name = "toy";
  scenario.cluster.pools = {pool};
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kPoisson;
  workload.rate = Hertz(8000.0 * static_cast<double>(replicas));
  workload.duration = Seconds(8e-3);
  workload.prompt = {16, 64};
  workload.output = {4, 12};
  scenario.workload.seed = seed;
  scenario.slo.ttft = Seconds(100e-6);
  EngineLimits limits;
  limits.kv_blocks = 256;
  scenario.plan = make_plan(scenario.model, "cpu", 1, {1.0}, {}, Dtype::kF32, limits, kCpuGranule);
  scenario.plan.groups.front().replicas = replicas;
  GroupPlan second = scenario.plan.groups.front();
  second.name = "few at once";
  second.replicas = replicas / 2;
  second.limits.max_sequences = 1;
  second.routing_weight = 0.8;
  scenario.plan.groups.push_back(second);
  return scenario;
}

inline Profile slow_steps_profile() {
  Profile profile = bare_profile();
  profile.step_overhead = Seconds(20e-6);
  return profile;
}

}  // namespace lindos::sim::toy
