// SPDX-License-Identifier: Apache-2.0
// The max-plus rung of training: every pass of every replica, without contention on links. Immutable;
// step() is thread-safe. The step ends when the exchanges of all stages and all optimizers have ended.
#pragma once

#include <cstddef>
#include <vector>

#include "sim/training/replica_pipeline.h"
#include "sim/training/step_ledger.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// slowdown × throttle of one replica's stages, from [group][first] of the draw on, in `buffer`; nullptr when
// neither deviates.
[[nodiscard]] const float* factors_of(const TrainingJob& job, const StepDraw& draw, std::size_t group,
                                      std::size_t first, std::vector<float>& buffer);
// The replica whose stage ended last among those that exchange with `stage`, and its own slowest stage.
[[nodiscard]] Gate gate_of(const TrainingJob& job, const std::vector<std::vector<double>>& ends,
                           const StepDraw& draw, std::size_t stage);

class MaxplusTraining {
 public:
  explicit MaxplusTraining(TrainingJob job);

  [[nodiscard]] const TrainingJob& job() const { return job_; }
  [[nodiscard]] const NominalStep& nominal() const { return nominal_; }
  // When each stage of each replica has ended its passes: [group][replica × stages + stage]; one replica
  // per group where the draw is nominal.
  [[nodiscard]] std::vector<std::vector<double>> stage_ends(const StepDraw& draw) const;
  // `contention`: share of the step that sharing of links adds, as the event level found it.
  [[nodiscard]] StepOutcome step(const StepDraw& draw, double contention = 0.0) const;

 private:
  TrainingJob job_;
  std::vector<ReplicaPipeline> pipelines_;  // [group]
  NominalStep nominal_;
};

}  // namespace lindos::sim
