// SPDX-License-Identifier: Apache-2.0
// The event-level rung of training: gradient exchanges as flows that share NICs and the cables
// between switch tiers, in a SimGrid platform of the whole fleet. Passes of a replica whose
// messages cannot meet others between the tiers follow the max-plus recursion; replicas that send
// through a pool of cables which could fill run every pass and message as an activity. Without
// contention it agrees with the max-plus rung.
//
// Runs in a child process; may be called any number of times.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "scenarios/hardware.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

struct SimgridOptions {
  // Every pass of every replica as activities, whether its messages can meet others or not.
  bool every_pass = false;
  std::function<bool()> cancelled{};  // polled while the event level runs; may be empty
};

// Throws Error{kCancelled}, Error{kInput} for a pool that the cluster lacks, Error{kInfeasible} when the fabric cannot
// be built from its switches, the job does not fit its pools, or a link that it needs has no
// bandwidth.
[[nodiscard]] StepOutcome simgrid_step(const TrainingJob& job, const Cluster& cluster,
                                       const std::map<std::string, Device>& devices,
                                       const StepDraw& draw, const SimgridOptions& options);

}  // namespace lindos::sim
