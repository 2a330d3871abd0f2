// SPDX-License-Identifier: Apache-2.0
// A GPU with power samples that are solved by hand, and a replica on it.
#pragma once

#include "scenarios/balance.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim::toy {

inline PowerSample sample(const char* load, double watts, double flop_per_s, double bytes_per_s) {
  return {load, 0, 0, Watts{watts}, FlopPerSecond{flop_per_s}, BytesPerSecond{bytes_per_s}, Seconds{1}};
}

// Idle 100 W. Reading adds 300 W at 3 TB/s: 100 pJ per byte. The product adds 600 W, of which its 1 TB/s are 100 W, at
// 1 PFLOP/s: 0.5 pJ per FLOP.
inline Profile ceilings_only() {
  Profile profile = bare_profile();
  profile.power_limit = Watts{700};
  profile.power = {sample("idle", 100, 0, 0), sample("read", 400, 0, 3e12), sample("matrix", 700, 1e15, 1e12)};
  return profile;
}

// By the ceilings such steps add 2 TB/s × 100 pJ + 0.2 PFLOP/s × 0.5 pJ = 300 W, a third of it for FLOP; they add
// 350 W.
inline Profile with_steps() {
  Profile profile = ceilings_only();
  profile.power.push_back(sample("steps", 450, 2e14, 2e12));
  return profile;
}

inline Scenario toy_scenario(const ServingWorkload& load, int devices) {
  Scenario scenario;
  scenario.name = "toy";
  scenario.model = model();
  scenario.devices["toy-gpu"] = gpu_device();
  Pool pool;
  pool.name = "gpu";
  pool.node.name = "toy-node";
  pool.node.device = "toy-gpu";
  pool.node.devices = 2;
  pool.nodes = 1;
  scenario.cluster.name = "toy";
  scenario.cluster.pools = {pool};
  scenario.workload.serving = load;
  EngineLimits limits;
  limits.kv_blocks = 4096;
  scenario.plan = make_plan(scenario.model, "gpu", 1, std::vector<double>(static_cast<std::size_t>(devices), 1.0), {},
                            Dtype::kBf16, limits, kCpuGranule);
  return scenario;
}

// At the toy's ceilings, 100 GB/s and 1 TFLOP/s, the same watts.
inline Profile toy_gpu_profile() {
  Profile profile = with_steps();
  for (PowerSample& s : profile.power) {
    s.byte_rate = s.byte_rate / 30.0;
    s.flop_rate = s.flop_rate / 1000.0;
  }
  profile.device = "toy-gpu";
  profile.cores = 1;
  profile.compute_capability = 90;
  profile.memory = Bytes{16e9};
  profile.step_overhead = Seconds{20e-6};
  return profile;
}

inline const ServingWorkload kLoad{8, Arrival::kPoisson, Hertz{20000}, {16, 64}, {4, 12}};

}  // namespace lindos::sim::toy
