// SPDX-License-Identifier: Apache-2.0
#include "sim/training/restore.h"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>

#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos::sim {

namespace {

void for_each_split(TrainingJob& job, const std::function<void(TimeSplit&)>& change) {
  for (GroupJob& group : job.groups) {
    for (StageJob& stage : group.stages) {
      for (ChunkWork& chunk : stage.chunks) {
        change(chunk.forward);
        change(chunk.backward);
      }
      change(stage.optimizer);
    }
  }
}

void remove(TrainingJob& job, Cause cause) {
  for_each_split(job, [&](TimeSplit& split) { split = split.without(cause); });
}

// Messages between stages cost nothing.
void free_messages(TrainingJob& job) {
  for (GroupJob& group : job.groups) {
    for (StageJob& stage : group.stages)
      stage.next = {BytesPerSecond(std::numeric_limits<double>::infinity()), Seconds{0}, stage.next.backend};
  }
}

// All stages of a replica work all the time: one stage that takes what the longest takes.
void without_bubble(TrainingJob& job) {
  for (GroupJob& group : job.groups) {
    StageJob merged = group.stages.front();
    double longest = -1.0;
    FlopPerSecond peak{0};
    std::int64_t devices = 0;
    for (const StageJob& stage : group.stages) {
      peak += stage.peak;
      devices += stage.devices;
      double busy = 0.0;
      for (const ChunkWork& chunk : stage.chunks)
        busy += chunk.forward.total().count() + chunk.backward.total().count();
      if (busy > longest) {
        longest = busy;
        merged.chunks = stage.chunks;
      }
      if (stage.exchange.exposed() > merged.exchange.exposed()) merged.exchange = stage.exchange;
      if (stage.optimizer.total() > merged.optimizer.total()) merged.optimizer = stage.optimizer;
    }
    merged.peak = peak;
    merged.devices = devices;
    group.stages = {merged};
  }
}

void without_exchange(TrainingJob& job) {
  for (GroupJob& group : job.groups) {
    for (StageJob& stage : group.stages) stage.exchange.reduce_time = stage.exchange.gather_time = Seconds{0};
  }
}

// One idealisation: how the run changes. Device mix is not one of them: it needs a run per group.
using Change = std::function<void(TrainingRun&)>;

Change change_of(Cause cause) {
  switch (cause) {
    case Cause::kMemoryBound:
    case Cause::kKernelInefficiency:
    case Cause::kRecompute:
    case Cause::kPadding:
    case Cause::kExposedTensor:
    case Cause::kExposedExpert:
    case Cause::kExposedContext:
    case Cause::kPowerCap:
    case Cause::kHostOverhead:
      return [cause](TrainingRun& run) { remove(run.job, cause); };
    case Cause::kExposedPipeline:
      return [](TrainingRun& run) { free_messages(run.job); };
    case Cause::kExposedData:
      return [](TrainingRun& run) { without_exchange(run.job); };
    case Cause::kPipelineBubble:
      return [](TrainingRun& run) { without_bubble(run.job); };
    case Cause::kStragglerJitter:
      return [](TrainingRun& run) {
        run.faults.speed_sigma = run.faults.slow_share = run.faults.jitter_sigma = 0.0;
        run.faults.episodes.clear();
      };
    case Cause::kThermal:
      return [](TrainingRun& run) { run.faults.thermal_share = 0.0; };
    case Cause::kCheckpointIo:
      return [](TrainingRun& run) {
        run.reliability.checkpoint.blocking = run.reliability.checkpoint.commit_delay = Seconds{0};
      };
    case Cause::kRestart:
      return [](TrainingRun& run) {
        run.reliability.detect = run.reliability.restart = run.reliability.warm_up = Seconds{0};
        run.reliability.checkpoint.read = Seconds{0};
      };
    default:
      return {};
  }
}

// Groups that do not wait for each other: each is a job of its own.
TrainingDraws without_mix(const TrainingRun& run, const Scenario& scenario, const DrawOptions& options) {
  TrainingDraws sum;
  for (std::size_t g = 0; g < run.job.groups.size(); ++g) {
    TrainingRun alone = run;
    alone.job.groups = {run.job.groups[g]};
    // Devices outside the group are booked once, with the first.
    if (g > 0) alone.spare_peak = alone.idle_peak = FlopPerSecond{0};
    add_over_same_time(sum, draw_training(alone, scenario, options));
  }
  return sum;
}

}  // namespace

void add_over_same_time(TrainingDraws& sum, const TrainingDraws& other) {
  if (sum.draws.empty()) {
    sum = other;
    return;
  }
  LINDOS_ASSERT(sum.draws.size() == other.draws.size(), "runs side by side are drawn alike");
  const auto add = [](Ledger& to, const Ledger& from, double times) {
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      const double amount = from.amount(static_cast<Cause>(i)) * times;
      if (amount > 0.0) to.book(static_cast<Cause>(i), Seconds(amount), FlopPerSecond(1.0));
    }
  };
  for (std::size_t d = 0; d < sum.draws.size(); ++d) {
    // Ledgers are of one step each; over the same wall time the shorter step counts more often.
    const double times = sum.draws[d].step / other.draws[d].step;
    add(sum.draws[d].whole, other.draws[d].whole, times);
    add(sum.draws[d].steady, other.draws[d].steady, times);
  }
}

Gain gain_of(const TrainingDraws& after, const TrainingDraws& before,
             Ledger TrainingDraw::*ledger) {
  LINDOS_ASSERT(after.draws.size() == before.draws.size(), "gains are of paired draws");
  std::vector<double> gains;
  for (std::size_t d = 0; d < before.draws.size(); ++d)
    gains.push_back((after.draws[d].*ledger).share(Cause::kUseful) -
                    (before.draws[d].*ledger).share(Cause::kUseful));
  return {quantile(gains, 0.1), quantile(gains, 0.5), quantile(gains, 0.9)};
}

std::vector<Restored> restore_causes(const TrainingRun& run, const Scenario& scenario,
                                     const TrainingDraws& base, const DrawOptions& options) {
  std::vector<Restored> restored;
  const auto booked = [&](Cause cause) {
    return std::any_of(base.draws.begin(), base.draws.end(),
                       [&](const TrainingDraw& draw) { return draw.whole.amount(cause) > 0.0; });
  };
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    if (!booked(cause)) continue;
    if (cause == Cause::kStragglerMix) {
      restored.push_back({name_of(cause), label_of(cause),
                          gain_of(without_mix(run, scenario, options), base)});
      continue;
    }
    const Change change = change_of(cause);
    if (!change) continue;
    TrainingRun ideal = run;
    change(ideal);
    restored.push_back(
        {name_of(cause), label_of(cause), gain_of(draw_training(ideal, scenario, options), base)});
  }
  if (booked(Cause::kRestart) || booked(Cause::kLostWork)) {
    TrainingRun ideal = run;
    ideal.reliability.process.sources.clear();
    restored.push_back({"failures", "all that failures cost (restart, lost work, checkpoints)",
                        gain_of(draw_training(ideal, scenario, options), base)});
  }
  std::stable_sort(restored.begin(), restored.end(),
                   [](const Restored& a, const Restored& b) { return a.gain.p50 > b.gain.p50; });
  return restored;
}

}  // namespace lindos::sim
