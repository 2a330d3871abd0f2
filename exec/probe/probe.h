// SPDX-License-Identifier: Apache-2.0
// `lindos probe`: what this machine is and what the engine's own kernels reach on it. Measures the ops of the
// shared list at the shapes that a model's shards have, the collectives, the step overhead, and two ceilings
// (read bandwidth, matrix rate: the best of OpenBLAS and our kernel). Never measures a serving run: predictions stay predictions.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "exec/probe/bench_team.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/profile.h"

namespace lindos::exec {

struct ProbeRequest {
  Model model;
  std::vector<GroupPlan> groups;   // their shards give shapes and layouts
  int cores = 1;
  std::function<void(const std::string& what, double fraction)> progress;   // may be empty
  std::function<bool()> cancelled;                                          // may be empty
};

// Throws Error{kCancelled} when cancelled. Takes about 10 s for one group on two cores.
[[nodiscard]] Profile probe(const ProbeRequest& request);

// Ceilings only (about 2 s): matrix rate and read bandwidth, without samples.
[[nodiscard]] Profile probe_ceilings(int cores);

// "2 × AMD EPYC …", from /proc/cpuinfo; `proc_root` is an argument for tests.
[[nodiscard]] std::string cpu_label(const std::string& proc_root = "/proc");
[[nodiscard]] int usable_cores();
[[nodiscard]] Bytes machine_memory();   // physical

}  // namespace lindos::exec
