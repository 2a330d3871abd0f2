// SPDX-License-Identifier: Apache-2.0
// Pipelines at event level: one actor per stage runs the passes in the order of
// pipeline_schedule.h. Compute is a sleep; messages that leave a scale-up domain are flows that
// share links; those inside cost what the job says. A message delays its receiver and does not
// occupy its sender. Tokens for experts of other replicas leave so that they arrive with the end of
// the pass when nothing is in their way; passes of other replicas are not waited for. Must outlive
// the run of the platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "sim/fleet_platform.h"
#include "sim/training/placement.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

class PassActors {
 public:
  using OnEnd =
      std::function<void(std::size_t stage)>;  // called in the actor, at the end of its last pass

  // The references must outlive it.
  PassActors(const TrainingJob& job, const Placement& placement, const StepDraw& draw,
             const FleetPlatform& platform, OnEnd on_end);
  ~PassActors();
  PassActors(const PassActors&) = delete;
  PassActors& operator=(const PassActors&) = delete;

  // Creates the actors of one replica.
  void add(std::size_t group, std::int64_t replica);

 private:
  struct Shape;  // what all replicas of a group share
  struct Stage;  // one actor's state
  struct Replica;

  void run(Replica& replica, std::size_t stage);

  const TrainingJob& job_;
  const Placement& placement_;
  const StepDraw& draw_;
  const FleetPlatform& platform_;
  OnEnd on_end_;
  std::vector<std::unique_ptr<Shape>> shapes_;  // [group]
  std::vector<std::unique_ptr<Replica>> replicas_;
};

}  // namespace lindos::sim
