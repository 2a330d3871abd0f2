// SPDX-License-Identifier: Apache-2.0
// Scenario + device profiles → RunRecord{predicted}: capacity rule, the shared scheduler on a
// virtual clock at the chosen fidelity, intervals from Monte Carlo over systematic errors with the
// max-plus rung, the ledger. Inference (serving) with groups of role "both" here, training in
// training/predict_training.h. docs/sim.md and docs/training.md have limits and validation.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "scenarios/device_map.h"
#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"
#include "scenarios/run_timeline.h"
#include "scenarios/scenario.h"
#include "scenarios/workload.h"

namespace lindos::sim {

enum class Fidelity { kClosed, kMaxplus, kSimgrid };
// "closed", "maxplus", "simgrid": as in run records.
[[nodiscard]] const char* name_of(Fidelity fidelity);

struct PredictOptions {
  Fidelity fidelity = Fidelity::kMaxplus;
  int draws = 200;         // of the interval, fewer for long workloads; 0 = centre only
  std::uint64_t seed = 1;  // of the draws and the sample of replicas; requests come from the workload's seed
  // How wide the 95 % interval of goodput may be, as a share of it, that comes from simulating a sample of the
  // replicas of each group; 0 = all are simulated.
  double goodput_width = 0.02;
  std::string backend;     // collective samples to use ("thread", "mpi"); empty = any
  std::function<void(double done)> progress;  // in [0, 1]; may be empty
  std::function<bool()> cancelled;            // polled each step, by several threads; may be empty
  std::function<void(DeviceMap)> devices;     // is given what is known per device (GPUs); may be empty
  // Is given the power of site and pools over time: serving on an event rung, where power is known; may be empty.
  std::function<void(RunSamples)> samples;
  // Is given spans of one training step, or of the first requests of a replica of each group; may be empty. For the
  // closed rung, which has no steps, Error{kInput}.
  std::function<void(RunTimeline)> timeline;
};

// `profiles_by_device`: by catalogue name; a device without one is predicted from its datasheet.
// The caller fills started_utc and the environment beyond hardware and profile digest.
// Throws Error{kInfeasible} when the weights or a request do not fit, Error{kInput} for a workload
// or role that is not covered or a device without ceilings, Error{kCancelled}.
[[nodiscard]] RunRecord predict(const Scenario& scenario,
                                const std::map<std::string, Profile>& profiles_by_device,
                                const PredictOptions& options = {});

}  // namespace lindos::sim
