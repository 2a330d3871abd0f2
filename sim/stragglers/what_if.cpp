// SPDX-License-Identifier: Apache-2.0
#include "sim/stragglers/what_if.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <string_view>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/timeline.h"
#include "sim/stragglers/step_graph.h"

namespace lindos::sim {

namespace {

// Records of transfers that end this long before their last member began cannot be clock error
// alone; their transfer time counts as 0 (the analyser's EPS).
constexpr Seconds kImpossibleTransfer{-10e-3};
// Share of the ranks that M_W makes ideal (arXiv 2505.05713, Eq. 5).
constexpr std::size_t kWorstPercent = 3;

// Which recorded times stay; the others are ideal.
using Keep = std::function<bool(const TracedOp&, int data_rank)>;

class Replay {
 public:
  explicit Replay(const StragglerTrace& trace)
      : trace_(trace), graph_(build_step_graph(trace)), recorded_(trace.duration) {
    std::array<std::vector<double>, kOpTypeCount> seconds;
    for (const StepUnit& unit : graph_.units) {
      if (unit.transfer) take_transfer_times(unit);
    }
    for (std::size_t op = 0; op < trace.ops.size(); ++op) {
      auto& of_type = seconds[index(trace.ops[op].type)];
      for (std::size_t lane = 0; lane < trace.lanes(); ++lane) {
        of_type.push_back(recorded_[op * trace.lanes() + lane].count());
      }
    }
    for (std::size_t type = 0; type < kOpTypeCount; ++type) {
      if (!seconds[type].empty()) ideal_[type] = typical(static_cast<OpType>(type), seconds[type]);
    }
  }

  // Step times, in the order of the trace's steps.
  [[nodiscard]] std::vector<Seconds> steps(const Keep& keep) const {
    const std::size_t lanes = trace_.lanes();
    std::vector<Seconds> end = times(keep);  // the own time of an op, until it is evaluated
    std::vector<Seconds> begin(lanes);
    for (const StepUnit& unit : graph_.units) {
      std::fill(begin.begin(), begin.end(), Seconds(0));
      for (const std::size_t member : unit.members) {
        for (const std::size_t before : graph_.after[member]) raise(begin, &end[before * lanes]);
      }
      if (unit.across_data_ranks) synchronise(begin);
      for (const std::size_t member : unit.members) {
        for (std::size_t lane = 0; lane < lanes; ++lane) end[member * lanes + lane] += begin[lane];
      }
    }
    std::vector<Seconds> steps(trace_.steps.size(), Seconds(0));
    for (std::size_t op = 0; op < trace_.ops.size(); ++op) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        Seconds& step = steps[lane % steps.size()];
        step = std::max(step, end[op * lanes + lane]);
      }
    }
    return steps;
  }

 private:
  static std::size_t index(OpType type) { return static_cast<std::size_t>(type); }

  [[nodiscard]] std::vector<Seconds> times(const Keep& keep) const {
    const std::size_t steps = trace_.steps.size();
    std::vector<Seconds> own = recorded_;
    for (std::size_t op = 0; op < trace_.ops.size(); ++op) {
      for (int data_rank = 0; data_rank < trace_.data; ++data_rank) {
        if (keep(trace_.ops[op], data_rank)) continue;
        const auto first = static_cast<std::ptrdiff_t>(op * trace_.lanes() +
                                                       static_cast<std::size_t>(data_rank) * steps);
        std::fill_n(own.begin() + first, steps, ideal_[index(trace_.ops[op].type)]);
      }
    }
    return own;
  }

  static void raise(std::vector<Seconds>& begin, const Seconds* end) {
    for (std::size_t lane = 0; lane < begin.size(); ++lane)
      begin[lane] = std::max(begin[lane], end[lane]);
  }

  // All data ranks begin with the last of them.
  void synchronise(std::vector<Seconds>& begin) const {
    const std::size_t steps = trace_.steps.size();
    for (std::size_t step = 0; step < steps; ++step) {
      Seconds last = begin[step];
      for (std::size_t lane = step; lane < begin.size(); lane += steps)
        last = std::max(last, begin[lane]);
      for (std::size_t lane = step; lane < begin.size(); lane += steps) begin[lane] = last;
    }
  }

  // Of a recorded transfer only the part after its last member's start is transfer; the rest is
  // waiting.
  void take_transfer_times(const StepUnit& unit) {
    const std::size_t lanes = trace_.lanes();
    std::vector<Seconds> begin(lanes, Seconds::min());
    for (const std::size_t member : unit.members) raise(begin, &trace_.start[member * lanes]);
    if (unit.across_data_ranks) synchronise(begin);
    for (const std::size_t member : unit.members) {
      for (std::size_t lane = 0; lane < lanes; ++lane) {
        const Seconds transfer = trace_.end(member, lane) - begin[lane];
        recorded_[member * lanes + lane] = transfer <= kImpossibleTransfer ? Seconds(0) : transfer;
      }
    }
  }

  static Seconds typical(OpType type, const std::vector<double>& seconds) {
    const bool computes = type == OpType::kForwardCompute || type == OpType::kBackwardCompute ||
                          type == OpType::kGc || type == OpType::kOptimizer;
    if (!computes) return Seconds(quantile(seconds, 0.5));
    const double sum = std::accumulate(seconds.begin(), seconds.end(), 0.0);
    return Seconds(sum / static_cast<double>(seconds.size()));
  }

  const StragglerTrace& trace_;
  StepGraph graph_;
  std::vector<Seconds> recorded_;  // [op · lanes + lane]: duration, of a transfer only the transfer
  std::array<Seconds, kOpTypeCount> ideal_{};
};

Seconds mean(const std::vector<Seconds>& steps) {
  return std::accumulate(steps.begin(), steps.end(), Seconds(0)) /
         static_cast<double>(steps.size());
}

std::vector<Seconds> recorded_steps(const StragglerTrace& trace) {
  std::vector<Seconds> first(trace.steps.size(), Seconds::max());
  std::vector<Seconds> last(trace.steps.size(), Seconds::min());
  for (std::size_t op = 0; op < trace.ops.size(); ++op) {
    for (std::size_t lane = 0; lane < trace.lanes(); ++lane) {
      const std::size_t step = lane % trace.steps.size();
      first[step] = std::min(first[step], trace.start[op * trace.lanes() + lane]);
      last[step] = std::max(last[step], trace.end(op, lane));
    }
  }
  for (std::size_t step = 0; step < last.size(); ++step) last[step] -= first[step];
  return last;
}

// Sends and receives are two records of one transfer.
std::string_view group_of(OpType type) {
  switch (type) {
    case OpType::kForwardSend:
    case OpType::kForwardRecv:
      return "forward-pp-comm";
    case OpType::kBackwardSend:
    case OpType::kBackwardRecv:
      return "backward-pp-comm";
    default:
      return name_of(type);
  }
}

class Analysis {
 public:
  Analysis(const StragglerTrace& trace, const WhatIfHooks& hooks)
      : trace_(trace), hooks_(hooks), replay_(trace), groups_(op_groups()) {
    result_.recorded = recorded_steps(trace);
    result_.no_delay = replay_.steps([](const TracedOp&, int) { return true; });
    result_.ideal = replay_.steps([](const TracedOp&, int) { return false; });
    result_.mean_recorded = mean(result_.recorded);
    result_.mean_no_delay = mean(result_.no_delay);
    result_.mean_ideal = mean(result_.ideal);
    result_.launch_slowdown = ratio(result_.mean_recorded, result_.mean_no_delay);
    result_.slowdown = ratio(result_.mean_no_delay, result_.mean_ideal);
  }

  WhatIf run() {
    for (int i = 0; i < trace_.data; ++i) {
      result_.by_data_rank.push_back(
          {std::to_string(i),
           effect([i](const TracedOp&, int data_rank) { return data_rank == i; })});
    }
    for (int i = 0; i < trace_.pipeline; ++i) {
      result_.by_stage.push_back(
          {std::to_string(i), effect([i](const TracedOp& op, int) { return op.stage == i; })});
    }
    for (const std::string_view group : groups_) {
      result_.by_op_type.push_back({std::string(group), effect([group](const TracedOp& op, int) {
                                      return group_of(op.type) == group;
                                    })});
    }
    rank_effects();
    result_.last_stage_effect = result_.by_stage.back().effect;
    return std::move(result_);
  }

 private:
  // A trace of ops without any duration has nothing that could be slowed.
  static double ratio(Seconds a, Seconds b) { return b > Seconds(0) ? a / b : 1.0; }

  WhatIfEffect effect(const Keep& group) {
    if (hooks_.cancelled && hooks_.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
    WhatIfEffect effect;
    effect.only = mean(replay_.steps(group));
    effect.without = mean(replay_.steps(
        [&group](const TracedOp& op, int data_rank) { return !group(op, data_rank); }));
    effect.slowdown = ratio(effect.only, result_.mean_ideal);
    const Seconds straggling = result_.mean_no_delay - result_.mean_ideal;
    // Below this share of a step the difference is rounding.
    constexpr double kRounding = 1e-9;
    if (std::abs(straggling.count()) > kRounding * result_.mean_ideal.count()) {
      effect.recovery = (result_.mean_no_delay - effect.without) / straggling;
    }
    // One effect per data rank, stage and op type, and that of the worst ranks.
    const double all = static_cast<double>(groups_.size() + 1) + trace_.data + trace_.pipeline;
    if (hooks_.progress) hooks_.progress(++effects_done_ / all);
    return effect;
  }

  // Groups that the trace has, in the order of op types.
  [[nodiscard]] std::vector<std::string_view> op_groups() const {
    std::vector<std::string_view> groups;
    for (std::size_t type = 0; type < kOpTypeCount; ++type) {
      const auto group = group_of(static_cast<OpType>(type));
      const bool recorded =
          std::any_of(trace_.ops.begin(), trace_.ops.end(),
                      [&](const TracedOp& op) { return group_of(op.type) == group; });
      if (recorded && std::find(groups.begin(), groups.end(), group) == groups.end())
        groups.push_back(group);
    }
    return groups;
  }

  void rank_effects() {
    for (int data_rank = 0; data_rank < trace_.data; ++data_rank) {
      for (int stage = 0; stage < trace_.pipeline; ++stage) {
        const auto d = static_cast<std::size_t>(data_rank);
        const auto s = static_cast<std::size_t>(stage);
        result_.by_rank.push_back({trace_.ranks[d * static_cast<std::size_t>(trace_.pipeline) + s],
                                   data_rank, stage,
                                   std::min(result_.by_data_rank[d].effect.slowdown,
                                            result_.by_stage[s].effect.slowdown)});
      }
    }
    std::sort(result_.by_rank.begin(), result_.by_rank.end(),
              [](const RankEffect& a, const RankEffect& b) {
                return a.slowdown != b.slowdown ? a.slowdown > b.slowdown : a.rank < b.rank;
              });
    const std::size_t worst = (result_.by_rank.size() * kWorstPercent + 99) / 100;
    std::vector<bool> chosen(result_.by_rank.size(), false);
    for (std::size_t i = 0; i < worst; ++i) {
      const RankEffect& rank = result_.by_rank[i];
      result_.worst_ranks.push_back(rank.rank);
      chosen[static_cast<std::size_t>(rank.data_rank * trace_.pipeline + rank.stage)] = true;
    }
    result_.worst_ranks_effect = effect([&](const TracedOp& op, int data_rank) {
      return chosen[static_cast<std::size_t>(data_rank * trace_.pipeline + op.stage)];
    });
  }

  const StragglerTrace& trace_;
  const WhatIfHooks& hooks_;
  Replay replay_;
  std::vector<std::string_view> groups_;  // of op types
  int effects_done_ = 0;
  WhatIf result_;
};

}  // namespace

WhatIf analyse_what_if(const StragglerTrace& trace, const WhatIfHooks& hooks) {
  return Analysis(trace, hooks).run();
}

}  // namespace lindos::sim
