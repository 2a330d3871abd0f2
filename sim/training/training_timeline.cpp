// SPDX-License-Identifier: Apache-2.0
#include "sim/training/training_timeline.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "scenarios/error.h"
#include "scenarios/text_layout.h"
#include "sim/training/maxplus_training.h"
#include "sim/training/replica_pipeline.h"
#include "sim/training/step_ledger.h"

namespace lindos::sim {

namespace {

// Groups whose typical replica is shown.
constexpr std::size_t kMostGroups = 8;

std::string time_text(double seconds) {
  return seconds < 1.0 ? fmt::format("{} ms", number_text(seconds * 1e3, 4))
                       : fmt::format("{} s", number_text(seconds, 5));
}

std::string name_of(const Pass& pass, int chunks) {
  return fmt::format("{} of micro-batch {}{}", pass.backward ? "backward" : "forward",
                     pass.micro_batch, chunks > 1 ? fmt::format(", chunk {}", pass.chunk) : "");
}

// The replica in the middle of the group's, by when its last stage ends.
std::size_t typical_replica(const std::vector<double>& ends, std::size_t stages) {
  std::vector<std::pair<double, std::size_t>> order;
  for (std::size_t r = 0; r * stages < ends.size(); ++r) {
    const auto first = ends.begin() + static_cast<std::ptrdiff_t>(r * stages);
    order.emplace_back(*std::max_element(first, first + static_cast<std::ptrdiff_t>(stages)), r);
  }
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
  std::nth_element(order.begin(), middle, order.end());
  return middle->second;
}

// The step of one draw, and the lanes of the replicas asked for.
class StepLanes {
 public:
  StepLanes(const TrainingJob& job, const StepDraw& draw, Seconds step, RunTimeline& timeline)
      : job_(job),
        draw_(draw),
        step_(step.count()),
        timeline_(timeline),
        ends_(MaxplusTraining(job).stage_ends(draw)),
        rings_(ring_times(job, ends_, draw)),
        tail_(step_tail(job, ends_, draw)) {}

  [[nodiscard]] const std::vector<std::vector<double>>& ends() const { return ends_; }

  void add_replica(std::size_t group, std::size_t replica, const std::string& why) {
    const GroupJob& g = job_.groups[group];
    std::vector<float> buffer;
    const float* factors = factors_of(job_, draw_, group, replica * g.stages.size(), buffer);
    const auto first_lane = static_cast<std::uint32_t>(timeline_.lanes.size());
    for (std::size_t s = 0; s < g.stages.size(); ++s) {
      std::string name = fmt::format("stage {}", s);
      if (factors != nullptr) name += fmt::format(", ×{:.3f}", factors[s]);
      timeline_.lanes.push_back(
          {fmt::format("{} replica {}, {}", g.name, replica, why), std::move(name)});
    }
    add_passes(g, factors, first_lane);
    for (std::size_t s = 0; s < g.stages.size(); ++s)
      add_tail(group, s, first_lane + static_cast<std::uint32_t>(s));
  }

 private:
  void add_passes(const GroupJob& group, const float* factors, std::uint32_t first_lane) {
    const std::vector<TimedPass> passes = ReplicaPipeline(group).passes(factors);
    free_.assign(group.stages.size(), 0.0);
    for (const TimedPass& p : passes) {
      const std::uint32_t lane = first_lane + static_cast<std::uint32_t>(p.stage);
      std::string cause = "starts when the stage is free";
      if (p.start > free_[p.stage]) {
        const TimedPass& input = passes[static_cast<std::size_t>(p.input)];
        const std::string from = fmt::format(
            "{} on stage {}, which ends at {}{}", name_of(input.pass, group.virtual_stages),
            input.stage, time_text(input.end),
            p.arrived > input.end
                ? fmt::format(" and is {} on the way", time_text(p.arrived - input.end))
                : "");
        add(lane, SpanKind::kBubble, free_[p.stage], p.start, "bubble", "waits for " + from);
        cause = "starts when its input arrives: " + from;
      }
      add(lane, p.pass.backward ? SpanKind::kBackward : SpanKind::kForward, p.start, p.end,
          name_of(p.pass, group.virtual_stages), std::move(cause));
      free_[p.stage] = p.end;
    }
  }

  // From the stage's last pass to the end of the step.
  void add_tail(std::size_t group, std::size_t stage, std::uint32_t lane) {
    const StageJob& own = job_.groups[group].stages[stage];
    const double ready = rings_.ready[rings_.ring_of(stage)];
    const Gate gate = gate_of(job_, ends_, draw_, rings_.by_index ? stage : tail_.stage);
    add(lane, SpanKind::kStepWait, free_[stage], ready, "waits for replicas",
        fmt::format("{} replica {} ends its passes last; its slowest stage is {}",
                    job_.groups[gate.group].name, gate.replica, gate.stage));
    const Seconds exposed = rings_.exposed(own.exchange, stage);
    const Seconds all = own.exchange.reduce_time + own.exchange.gather_time;
    const double exchanged = ready + exposed.count();
    add(lane, SpanKind::kExchange, ready, exchanged, "gradient exchange",
        fmt::format("{} ranks hold these weights; {} at nominal speed, of which passes can hide {}",
                    job_.ranks_in_exchange, time_text(all.count()),
                    time_text(own.exchange.hidden_window.count())));
    add(lane, SpanKind::kStepWait, exchanged, tail_.exchanged.count(),
        "waits for the gradient norm",
        fmt::format("the exchange of stage {} ends last", tail_.stage));
    const double updated = tail_.exchanged.count() + own.optimizer.total().count();
    add(lane, SpanKind::kOptimizer, tail_.exchanged.count(), updated, "optimizer",
        "starts when all exchanges have ended");
    add(lane, SpanKind::kStepWait, updated, tail_.step.count(), "waits for the longest update",
        "the step ends with all optimizers");
    add(lane, SpanKind::kLinkSharing, tail_.step.count(), step_, "link sharing",
        "messages share links at event level; when in the step is not told");
  }

  void add(std::uint32_t lane, SpanKind kind, double from, double to, std::string name,
           std::string cause) {
    if (to <= from) return;
    timeline_.spans.push_back(
        {lane, kind, Seconds(from), Seconds(to - from), std::move(name), std::move(cause)});
  }

  const TrainingJob& job_;
  const StepDraw& draw_;
  double step_;
  RunTimeline& timeline_;
  std::vector<std::vector<double>> ends_;
  RingTimes rings_;
  StepTail tail_;
  std::vector<double> free_;  // [stage] of the replica at hand
};

}  // namespace

RunTimeline training_timeline(const Scenario& scenario, const TrainingRun& run,
                              const TrainingDraws& drawn, const DrawOptions& options) {
  LINDOS_ASSERT(options.fidelity != Fidelity::kClosed, "the closed rung has no passes");
  const std::int64_t shown = median_draw(drawn.draws);
  const auto index = static_cast<std::uint32_t>(shown);
  const TrainingDraw& chosen = drawn.draws[static_cast<std::size_t>(shown)];
  const TrainingJob job = priced_otherwise(run.job, options.seed, index);
  const StragglerModel stragglers(run.job, run.faults);
  const StepDraw draw = stragglers.draw(options.seed, index);

  RunTimeline timeline;
  timeline.scenario_name = scenario.name;
  timeline.scenario_digest = digest(scenario);
  timeline.plan_name = scenario.plan.name;
  timeline.plan_digest = digest(scenario.plan);
  timeline.fidelity = name_of(options.fidelity);
  timeline.seed = options.seed;
  timeline.what =
      fmt::format("one training step of {}: draw {} of {}, the one with the median step time",
                  time_text(chosen.step.count()), shown, drawn.draws.size());
  StepLanes lanes(job, draw, chosen.step, timeline);
  const Gate& gate = chosen.gate;
  lanes.add_replica(gate.group, static_cast<std::size_t>(gate.replica), "for which the step waits");
  std::size_t typical = 0;
  for (std::size_t g = 0; g < job.groups.size() && typical < kMostGroups; ++g) {
    const std::size_t replica = typical_replica(lanes.ends()[g], job.groups[g].stages.size());
    if (g == gate.group && replica == static_cast<std::size_t>(gate.replica)) continue;
    lanes.add_replica(g, replica, "a typical one");
    ++typical;
  }
  std::int64_t replicas = 0;
  for (const GroupJob& group : job.groups) replicas += group.replicas;
  if (replicas > static_cast<std::int64_t>(typical) + 1)
    timeline.cut = fmt::format("{} of {} replicas", typical + 1, with_thousands(replicas));
  limit_spans(timeline);
  return timeline;
}

}  // namespace lindos::sim
