// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/probe.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <utility>

#include "exec/probe/probe_parts.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos::exec {

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

Bytes machine_memory() {
  return Bytes{static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE))};
}

std::string cpu_label(const std::string& proc_root) {
  std::ifstream in(proc_root + "/cpuinfo");
  std::string name = "unknown CPU";
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(':');
      if (colon != std::string::npos && colon + 2 <= line.size()) name = line.substr(colon + 2);
      break;
    }
  }
  return name;
}

std::set<RankLayout> ProbeSession::layouts_of(const GroupPlan& group) const {
  std::set<RankLayout> layouts;
  const int stages = static_cast<int>(group.stages.size());
  for (int s = 0; s < stages; ++s) {
    const int ranks = static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
    for (int r = 0; r < ranks; ++r) {
      const int threads = threads_of(group, {s, r}, request_->cores);
      for (int busy = 1; busy <= stages; ++busy) layouts.insert({threads, ranks * busy});
    }
  }
  return layouts;
}

ColdRegion& ProbeSession::cold(kernels::WeightType type) {
  auto& slot = cold_[type];
  if (!slot) slot = std::make_unique<ColdRegion>(type);
  return *slot;
}

void ProbeSession::add_task(std::shared_ptr<BenchTeam> team, BenchTeam::Call call,
                            std::function<void(const Timing&)> keep) {
  tasks_.push_back({std::move(team), std::move(call), std::move(keep), 1, 0, {}});
}

void ProbeSession::add_task(RankLayout layout, BenchTeam::Call call, std::function<void(const Timing&)> keep) {
  auto& team = teams_[layout];
  if (!team) team = std::make_shared<BenchTeam>(layout);
  add_task(team, std::move(call), std::move(keep));
}

// A sample lasts milliseconds: a thread that is scheduled away once doubles it, which says nothing about a run of
// seconds. The quartiles leave such a round out; what drifts through the rounds they keep.
Timing timing_of(const std::vector<double>& seconds) {
  constexpr double kQuartilesOfNormal = 1.349;   // distance of the quartiles in standard deviations
  return {Seconds{quantile(seconds, 0.5)},
          std::log(quantile(seconds, 0.75) / quantile(seconds, 0.25)) / kQuartilesOfNormal};
}

void ProbeSession::run_tasks() {
  constexpr int kRounds = 7;
  constexpr double kBatchSeconds = 3e-3;
  constexpr double kFirst = 0.05;
  constexpr double kLast = 0.9;
  // The first round only warms up and finds how many calls fill a batch.
  for (int round = -1; round < kRounds; ++round) {
    for (std::size_t i = 0; i < tasks_.size(); ++i) {
      Task& task = tasks_[i];
      BenchTeam& team = *task.team;
      const double t = team.batch(task.call, task.visited, task.iterations).count();
      task.visited += task.iterations;
      if (round >= 0) {
        task.seconds.push_back(t);
      } else {
        const double again = team.batch(task.call, task.visited++, 1).count();
        task.iterations = std::clamp<std::int64_t>(
            static_cast<std::int64_t>(kBatchSeconds / std::max(std::min(t, again), 1e-8)), 1, 20000);
      }
      const double done = (static_cast<double>(round + 1) + static_cast<double>(i) / static_cast<double>(tasks_.size())) /
                          (kRounds + 1);
      report("kernels", kFirst + (kLast - kFirst) * done);
    }
  }
  for (const Task& task : tasks_) task.keep(timing_of(task.seconds));
  tasks_.clear();
  teams_.clear();
}

void ProbeSession::report(const std::string& what, double fraction) const {
  if (request_->cancelled && request_->cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
  if (request_->progress) request_->progress(what, fraction);
}

Profile probe(const ProbeRequest& request) {
  if (request.progress) request.progress("ceilings", 0.0);
  Profile profile = probe_ceilings(request.cores);
  ProbeSession session(request, profile);
  session.gemm();
  session.attention();
  session.stream();
  session.stages();
  session.run_tasks();
  session.collectives();
  session.step_overhead();
  if (request.progress) request.progress("done", 1.0);
  return profile;
}

}  // namespace lindos::exec
