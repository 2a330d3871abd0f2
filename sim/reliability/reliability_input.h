// SPDX-License-Identifier: Apache-2.0
// Everything that decides how much of its wall time a training job keeps: what fails, what a
// checkpoint and a restart cost, what happens without spares. A plain value: a mitigation (hot
// spares, faster checkpoints, a shorter restart) is a changed copy.
//
//   ReliabilityInput input = make_reliability_input(scenario, step);
//   input.checkpoint.commit_delay = Seconds(10);      // what would faster saves give?
//   EffectiveTraining answer = effective_training(input, 100, seed);
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/scenario.h"
#include "scenarios/units.h"
#include "sim/reliability/checkpoint.h"
#include "sim/reliability/failure_process.h"
#include "sim/reliability/goodput.h"

namespace lindos::sim {

// Replicas that may be left out one by one. All replicas of a job count alike: one replica, one
// share of the step's tokens.
struct ReplicaShape {
  std::string group;
  std::int64_t replicas = 0;
  std::vector<std::int64_t> devices;  // of one replica, by pool of the failure process
};

struct ReliabilityInput {
  FailureProcess process;
  std::vector<ReplicaShape> groups;
  CheckpointCost checkpoint;
  Seconds interval{0};  // training between two saves; 0 = the best whole number of steps
  Seconds step{0};      // saves happen between steps; > 0
  Seconds detect{0};
  Seconds restart{0};  // reschedule and start of processes and communicators
  Seconds warm_up{0};
  WithoutSpare without_spare = WithoutSpare::kWait;
  double rate_sigma = 0.0;          // log-normal sigma of a factor on all rates, one per draw
  Seconds horizon{30.0 * 86400.0};  // length of a simulated run
  // From a failure until training goes on, when nodes are at hand.
  [[nodiscard]] Seconds outage() const { return detect + restart + checkpoint.read + warm_up; }
};

// Throws Error{kInput} without a training group, and when a save takes longer than the given
// interval.
[[nodiscard]] ReliabilityInput make_reliability_input(const Scenario& scenario, Seconds step);

// Whole steps between two saves: of the given interval, or the best by the exact form. An
// asynchronous save ends before the next begins. Without failures the best is the horizon: no save
// at all.
[[nodiscard]] Seconds interval_in_steps(const ReliabilityInput& input);

// The exact form's view of the input, at its nominal rates.
[[nodiscard]] RenewalCycle renewal_cycle(const ReliabilityInput& input);

}  // namespace lindos::sim
