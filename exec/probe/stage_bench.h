// SPDX-License-Identifier: Apache-2.0
// Some layers of one pipeline stage, run by the engine's own rank model: all ranks of the stage with their
// collectives, and copies of the whole side by side for stages that compute at the same time. What a layer costs
// in place, where the sum of its kernels' own times is only close.
// Ownership: threads, weights (synthetic) and KV pages. Threading: used by the probe's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exec/comm/communicator.h"
#include "exec/model/rank_model.h"
#include "exec/probe/bench_team.h"
#include "exec/probe/stage_shape.h"
#include "exec/telemetry/op_timer.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"

namespace lindos::exec {

class StageBench {
 public:
  // `layers` of stage `stage` of `group`, at least 1. Scratch and KV for every one of `shapes`.
  // REQUIRES: executable(model), weights and KV in f32 or bf16.
  StageBench(const Model& model, const GroupPlan& group, int stage, int copies, int cores, std::int64_t layers,
             const std::vector<StageShape>& shapes);

  [[nodiscard]] BenchTeam& team() { return team_; }
  // Runs the layers once on every rank.
  [[nodiscard]] BenchTeam::Call call(const StageShape& shape);

 private:
  struct Rank {
    std::unique_ptr<Communicator> tensor_group;
    OpTimer timer;
    std::unique_ptr<RankModel> model;
  };
  BenchTeam team_;
  std::vector<Rank> ranks_;   // of all copies, copy-major
  std::int64_t hidden_;
  // Rows that the residual stream starts from, so large that layers hardly turn them: tokens choose experts as if by chance,
  // and in each call others.
  std::vector<float> rows_;
};

}  // namespace lindos::exec
