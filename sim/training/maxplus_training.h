// SPDX-License-Identifier: Apache-2.0
// The max-plus rung of training: every pass of every replica, without contention on links. Immutable;
// step() is thread-safe. The step ends when the exchanges of all stages and all optimizers have ended.
#pragma once

#include <vector>

#include "sim/training/replica_pipeline.h"
#include "sim/training/step_ledger.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

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
