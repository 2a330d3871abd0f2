// SPDX-License-Identifier: Apache-2.0
// How the time of one synchronous step is booked, the same for every rung. Per stage of each replica the
// step is: its passes (by cause, stretched by its slowdown) · idle inside the pipeline · waiting for other
// replicas · exposed exchange · optimizer. What waiting is due to is told by comparison with the nominal
// step: what vanishes when messages are free is exposed_pipeline, the rest of the idle at nominal speed
// pipeline_bubble, waiting that the groups' nominal ends explain straggler_mix, all further waiting
// straggler_jitter. A stage that is slow itself books its extra time as straggler_jitter (or thermal).
#pragma once

#include <cstddef>
#include <vector>

#include "scenarios/ledger.h"
#include "scenarios/units.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// The step without deviations.
struct NominalStep {
  Seconds step{0};
  std::vector<Seconds> pipeline;       // [group] until its last pass has ended
  std::vector<Seconds> free_pipeline;  // [group] the same if messages cost nothing
  Seconds end() const;                 // of the last group's pipeline
};

// Ranks that hold the same weights exchange their gradients as one ring: stages of equal index when all groups have
// the same number of stages, otherwise all stages wait for all.
struct RingTimes {
  bool by_index = true;
  std::vector<double> ready;  // [ring] when the last of its stages has ended its passes
  std::vector<float> link;    // [ring] its slowest link
  [[nodiscard]] std::size_t ring_of(std::size_t stage) const { return by_index ? stage : 0; }
  // What no pass hides of the exchange of a stage.
  [[nodiscard]] Seconds exposed(const GradientExchange& exchange, std::size_t stage) const;
};
// `stage_ends` as for step_tail().
[[nodiscard]] RingTimes ring_times(const TrainingJob& job, const std::vector<std::vector<double>>& stage_ends,
                                   const StepDraw& draw);

// The longest exposed exchange and the longest optimizer of the job: what follows the last pass at nominal
// speed, given when each stage's passes end.
struct StepTail {
  Seconds exchanged{0};  // the last stage's exchange ends
  Seconds step{0};       // and all optimizers
  std::size_t stage = 0; // whose exchange ended last
};
// `stage_ends[group][replica × stages + stage]`; one replica per group stands for all when `alike`.
[[nodiscard]] StepTail step_tail(const TrainingJob& job, const std::vector<std::vector<double>>& stage_ends,
                                 const StepDraw& draw);

// Passes of one stage in one step, all micro-batches, at nominal speed.
[[nodiscard]] TimeSplit passes_of(const GroupJob& group, const StageJob& stage);

// Books all devices of the job over `step`. `contention`: part of the step that only sharing of links
// explains (event level); booked as exposed_data. The shares sum to 1 to rounding.
[[nodiscard]] Ledger book_step(const TrainingJob& job, const NominalStep& nominal, const StepDraw& draw,
                               Seconds step, Seconds contention = Seconds{0});

}  // namespace lindos::sim
