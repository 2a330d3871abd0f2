// SPDX-License-Identifier: Apache-2.0
// One training job as a distribution of runs: priced once, then drawn. predict_training turns it into a
// record; explain restores causes and applies mitigations to it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "scenarios/ledger.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "scenarios/units.h"
#include "sim/predict.h"
#include "sim/reliability/effective_training.h"
#include "sim/training/straggler_draws.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// What a run is drawn from. A plain value: explain and mitigations change copies.
struct TrainingRun {
  TrainingJob job;
  Faults faults;               // spread, jitter, episodes, heat
  ReliabilityInput reliability;
  // Devices of the cluster that the job does not take, as Σ peak × count.
  FlopPerSecond spare_peak{0};
  FlopPerSecond idle_peak{0};
  Bytes fullest{0};            // memory of the fullest rank
};

[[nodiscard]] TrainingRun make_training_run(const Scenario& scenario,
                                            const std::map<std::string, Profile>& profiles_by_device);

// One draw.
struct TrainingDraw {
  Seconds step{0};
  Gate gate;
  Ledger steady;               // the job's devices over one step
  Ledger whole;                // every device of the cluster over the run, in units of one step's capacity
  double productive = 0.0;     // share of wall time that is kept
};

struct TrainingDraws {
  std::vector<TrainingDraw> draws;
  EffectiveTraining effective;
  double contention = 0.0;     // of the step, from the event level: extra over maxplus
};

// The draw whose step time is the median; of an even number the faster of the two.
[[nodiscard]] std::int64_t median_draw(const std::vector<TrainingDraw>& draws);

struct DrawOptions {
  Fidelity fidelity = Fidelity::kMaxplus;
  int draws = 100;
  std::uint64_t seed = 1;
  std::function<void(double done)> progress;
  std::function<bool()> cancelled;
};

// The job as draw `draw` prices it: its kernels and links are off by one factor each.
[[nodiscard]] TrainingJob priced_otherwise(const TrainingJob& job, std::uint64_t seed, std::uint32_t draw);

// `cluster` and `devices` are for the event level's platform. Throws Error{kCancelled}.
[[nodiscard]] TrainingDraws draw_training(const TrainingRun& run, const Scenario& scenario,
                                          const DrawOptions& options);

}  // namespace lindos::sim
