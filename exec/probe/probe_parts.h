// SPDX-License-Identifier: Apache-2.0
// The parts of the probe; internal to exec/probe. Each part adds measuring tasks; run_tasks() then measures all
// of them in several rounds. The rounds spread every sample over the whole duration of the probe: on a shared
// machine memory bandwidth drifts by 10 % within seconds, and samples taken in one go would each catch another
// moment.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "exec/probe/bench_team.h"
#include "exec/probe/cold_region.h"
#include "exec/probe/probe.h"
#include "kernels/gemm.h"
#include "scenarios/ops.h"

namespace lindos::exec {

struct Timing {
  Seconds time{0};       // median over the rounds
  double spread = 0.0;   // standard deviation of log(time) between rounds, by their quartiles
};
[[nodiscard]] Timing timing_of(const std::vector<double>& seconds);

class ProbeSession {
 public:
  ProbeSession(const ProbeRequest& request, Profile& profile) : request_(&request), profile_(&profile) {}

  void gemm();
  void attention();
  void stream();
  void stages();
  void run_tasks();
  void collectives();
  void step_overhead();

 private:
  struct Task {
    std::shared_ptr<BenchTeam> team;
    BenchTeam::Call call;
    std::function<void(const Timing&)> keep;   // appends the sample to the profile
    std::int64_t iterations = 1;
    std::int64_t visited = 0;
    std::vector<double> seconds;               // one per round
  };
  void add_task(std::shared_ptr<BenchTeam> team, BenchTeam::Call call, std::function<void(const Timing&)> keep);
  // On the one team of this layout.
  void add_task(RankLayout layout, BenchTeam::Call call, std::function<void(const Timing&)> keep);
  // Layouts that the ranks of `group` run under, from one busy stage to all of them.
  [[nodiscard]] std::set<RankLayout> layouts_of(const GroupPlan& group) const;
  [[nodiscard]] ColdRegion& cold(kernels::WeightType type);
  void report(const std::string& what, double fraction) const;
  void attention_of(const GroupPlan& group, const TensorShare& share, RankLayout layout);
  void stream_of(const GroupPlan& group, ShardId shard, RankLayout layout);
  void route_of(const GroupPlan& group, const TensorShare& share, RankLayout layout, const Op& op);
  void kv_copy_of(const GroupPlan& group, ShardId shard, RankLayout layout);
  [[nodiscard]] StageSample stage_sample(const GroupPlan& group, int stage, int at_once) const;
  void stages_of(const GroupPlan& group, int stage, int at_once, StageSample sample);

  const ProbeRequest* request_;
  Profile* profile_;
  std::map<kernels::WeightType, std::unique_ptr<ColdRegion>> cold_;
  std::map<RankLayout, std::shared_ptr<BenchTeam>> teams_;
  std::vector<Task> tasks_;
};

[[nodiscard]] std::string today_utc();   // "2026-11-26"
// A model whose layers take next to nothing: what remains of its step is the engine itself.
[[nodiscard]] Model tiny_model(std::int64_t vocab);

}  // namespace lindos::exec
