// SPDX-License-Identifier: Apache-2.0
#include "sim/training/step_ledger.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

float at(const std::vector<std::vector<float>>& values, std::size_t group, std::size_t index) {
  return values.empty() || values[group].empty() ? 1.0F : values[group][index];
}

bool same_depth(const TrainingJob& job) {
  return std::all_of(job.groups.begin(), job.groups.end(), [&](const GroupJob& g) {
    return g.stages.size() == job.groups.front().stages.size();
  });
}

// Takes up to `wanted` from `available` and returns it.
double take(double& available, double wanted) {
  const double taken = std::clamp(wanted, 0.0, available);
  available -= taken;
  return taken;
}

// Waiting of one stage at nominal speed, by reason; Σ is everything but its passes and its optimizer.
struct Waits {
  double exchange = 0.0;
  double mix = 0.0;
  double pipeline = 0.0;
  double bubble = 0.0;
  [[nodiscard]] double sum() const { return exchange + mix + pipeline + bubble; }
};

Waits nominal_waits(const NominalStep& nominal, std::size_t group, Seconds end, double tail, double budget) {
  Waits waits;
  waits.exchange = take(budget, tail);
  waits.mix = take(budget, (end - nominal.pipeline[group]).count());
  waits.pipeline = take(budget, (nominal.pipeline[group] - nominal.free_pipeline[group]).count());
  waits.bubble = budget;
  return waits;
}

}  // namespace

TimeSplit passes_of(const GroupJob& group, const StageJob& stage) {
  TimeSplit sum;
  for (const ChunkWork& chunk : stage.chunks) {
    sum.add(chunk.forward, static_cast<double>(group.micro_batches));
    sum.add(chunk.backward, static_cast<double>(group.micro_batches));
  }
  return sum;
}

Seconds NominalStep::end() const {
  return pipeline.empty() ? Seconds{0} : *std::max_element(pipeline.begin(), pipeline.end());
}

Seconds RingTimes::exposed(const GradientExchange& exchange, std::size_t stage) const {
  const Seconds all = (exchange.reduce_time + exchange.gather_time) * static_cast<double>(link[ring_of(stage)]);
  return std::max(Seconds{0}, all - exchange.hidden_window);
}

RingTimes ring_times(const TrainingJob& job, const std::vector<std::vector<double>>& stage_ends,
                     const StepDraw& draw) {
  RingTimes times;
  times.by_index = same_depth(job);
  std::size_t depth = 0;
  for (const GroupJob& group : job.groups) depth = std::max(depth, group.stages.size());
  const std::size_t rings = times.by_index ? depth : 1;
  times.ready.assign(rings, 0.0);
  times.link.assign(rings, 1.0F);
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const std::size_t stages = job.groups[g].stages.size();
    for (std::size_t i = 0; i < stage_ends[g].size(); ++i) {
      double& ready = times.ready[times.ring_of(i % stages)];
      ready = std::max(ready, stage_ends[g][i]);
    }
    if (draw.link.empty() || draw.link[g].empty()) continue;
    for (std::size_t i = 0; i < draw.link[g].size(); ++i) {
      float& link = times.link[times.ring_of(i % stages)];
      link = std::max(link, draw.link[g][i]);
    }
  }
  return times;
}

StepTail step_tail(const TrainingJob& job, const std::vector<std::vector<double>>& stage_ends,
                   const StepDraw& draw) {
  const RingTimes rings = ring_times(job, stage_ends, draw);
  StepTail tail;
  for (const GroupJob& group : job.groups) {
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const Seconds end =
          Seconds(rings.ready[rings.ring_of(s)]) + rings.exposed(group.stages[s].exchange, s);
      if (end > tail.exchanged) {
        tail.exchanged = end;
        tail.stage = s;
      }
    }
  }
  tail.step = tail.exchanged + job.longest_optimizer();
  return tail;
}

Ledger book_step(const TrainingJob& job, const NominalStep& nominal, const StepDraw& draw, Seconds step,
                 Seconds contention) {
  const Seconds end = nominal.end();
  const double tail = std::max(0.0, (nominal.step - end - job.longest_optimizer()).count());
  Ledger ledger;
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const GroupJob& group = job.groups[g];
    const std::size_t stages = group.stages.size();
    for (std::size_t s = 0; s < stages; ++s) {
      const StageJob& stage = group.stages[s];
      const TimeSplit passes = passes_of(group, stage);
      const double own = stage.optimizer.total().count();
      const double nominal_busy = passes.total().count();
      const double nominal_budget = std::max(0.0, nominal.step.count() - own - nominal_busy);
      const Waits waits = nominal_waits(nominal, g, end, tail, nominal_budget);
      // Deviations differ by replica only in the factors; sums over replicas are booked at once.
      const std::size_t kinds = draw.slowdown.empty() && draw.throttle.empty()
                                    ? 1
                                    : static_cast<std::size_t>(group.replicas);
      const double each = static_cast<double>(group.replicas) / static_cast<double>(kinds);
      const double compute = passes.compute().count();
      const float fastest = stage.fastest();
      std::array<double, kCauseCount> extra{};
      const auto add = [&](Cause cause, double seconds) {
        extra[static_cast<std::size_t>(cause)] += each * seconds;
      };
      double sped_up = 0.0;  // devices faster than nominal: less inefficiency
      for (std::size_t r = 0; r < kinds; ++r) {
        const float own_speed = std::max(at(draw.slowdown, g, r * stages + s), fastest);
        const double slow = own_speed;
        // As the recursion multiplies them, so that both count the same time.
        const double factor = own_speed * at(draw.throttle, g, r * stages + s);
        const double busy = nominal_busy + compute * (factor - 1.0);
        add(Cause::kThermal, compute * (factor - slow));
        if (slow >= 1.0) {
          add(Cause::kStragglerJitter, compute * (slow - 1.0));
        } else {
          sped_up += each * compute * (1.0 - slow);
        }
        double rest = std::max(0.0, step.count() - own - busy);
        add(Cause::kExposedData, take(rest, contention.count()));
        // A slow stage fills its own idle time first: its bubble, then the waiting for others.
        const double jitter = take(rest, rest - waits.sum());
        add(Cause::kStragglerJitter, jitter);
        add(Cause::kExposedData, take(rest, waits.exchange));
        add(Cause::kStragglerMix, take(rest, waits.mix));
        add(Cause::kExposedPipeline, take(rest, waits.pipeline));
        add(Cause::kPipelineBubble, rest);
      }
      TimeSplit booked;
      booked.add(passes, static_cast<double>(group.replicas));
      booked.add(stage.optimizer, static_cast<double>(group.replicas));
      for (std::size_t i = 0; i < kCauseCount; ++i) {
        const auto cause = static_cast<Cause>(i);
        double seconds = booked.of(cause).count() + extra[i];
        if (cause == Cause::kKernelInefficiency || cause == Cause::kMemoryBound) {
          const double less = std::min(sped_up, seconds);
          seconds -= less;
          sped_up -= less;
        }
        if (seconds > 0.0) ledger.book(cause, Seconds(seconds), stage.peak);
      }
      LINDOS_ASSERT(sped_up <= 1e-9 * compute * static_cast<double>(group.replicas),
                    "a device cannot be faster than its peak and bandwidth allow");
    }
  }
  return ledger;
}

}  // namespace lindos::sim
