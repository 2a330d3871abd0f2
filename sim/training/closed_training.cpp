// SPDX-License-Identifier: Apache-2.0
#include "sim/training/closed_training.h"

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lindos::sim {

namespace {

struct Shape {
  double stages = 1.0;
  double chunks = 1.0;
  double micro_batches = 1.0;
};

// Hops of one micro-batch's path that nothing hides, in units of one message one way. Both counts are exact
// for equal stages (tests/sim/training compares them with the recursion).
//   1F1B: the pipeline fills and drains over p − 1 boundaries each way; in the steady state of p micro-batches
//   in flight every message to and fro delays 2 (p − 1) / p per micro-batch.
//   interleaved: warm-up passes hide the steady state; 2 (p v − 1) remain.
double exposed_hops(const Shape& s) {
  if (s.stages < 2.0) return 0.0;
  if (s.chunks > 1.0) return 2.0 * (s.stages * s.chunks - 1.0);
  return std::max(2.0 * (s.stages - 1.0),
                  2.0 * (s.stages - 1.0) / s.stages * s.micro_batches + 2.0 * (s.stages - 2.0));
}

// Passes of one micro-batch through a stage, summed once: a plan is evaluated some 100,000 times a second.
struct PassTimes {
  double compute = 0.0;                 // all chunks, forward and backward, at nominal speed
  double communication = 0.0;
  double backward_compute = 0.0;        // of the first chunk
  double backward_communication = 0.0;
  [[nodiscard]] double both(double slowdown) const { return compute * slowdown + communication; }
  [[nodiscard]] double backward(double slowdown) const { return backward_compute * slowdown + backward_communication; }
};

struct GroupTimes {
  std::vector<PassTimes> stages;
  double hops = 0.0;                    // messages that nothing hides
};

PassTimes pass_times(const StageJob& stage) {
  PassTimes times;
  for (std::size_t c = 0; c < stage.chunks.size(); ++c) {
    const ChunkWork& chunk = stage.chunks[c];
    const double forward = chunk.forward.compute().count();
    const double backward = chunk.backward.compute().count();
    const double backward_messages = chunk.backward.total().count() - backward;
    times.compute += forward + backward;
    times.communication += chunk.forward.total().count() - forward + backward_messages;
    if (c > 0) continue;
    times.backward_compute = backward;
    times.backward_communication = backward_messages;
  }
  return times;
}

double mean_hop(const GroupJob& group) {
  double sum = 0.0;
  double boundaries = 0.0;
  const std::size_t stages = group.stages.size();
  for (std::size_t s = 0; s + 1 < stages; ++s) {
    const StageJob& stage = group.stages[s];
    sum += stage.next.transfer(stage.chunks.front().forward_message).count();
    sum += stage.next.transfer(group.stages[s + 1].chunks.front().backward_message).count();
    boundaries += 2.0;
  }
  return boundaries > 0.0 ? sum / boundaries : 0.0;
}

// 1F1B without messages. A stage runs w = min(p − 1 − s, m − 1) forward passes while it waits for its first
// gradient, and at the end takes w gradients at the pace of the slowest stage after it.
double one_forward_one_backward(const GroupJob& group, const std::vector<PassTimes>& times, double slowdown) {
  const std::size_t stages = times.size();
  const auto micro_batches = static_cast<double>(group.micro_batches);
  double before = 0.0;
  for (const PassTimes& stage : times) before += stage.both(slowdown);
  double later = 0.0;
  double slowest_later = 0.0;
  double end = 0.0;
  for (std::size_t i = stages; i-- > 0;) {
    const double own = times[i].both(slowdown);
    const double backward = times[i].backward(slowdown);
    const double ahead = std::min(static_cast<double>(stages - 1 - i), micro_batches - 1.0);
    before -= own;
    end = std::max(end, before + micro_batches * own +
                            std::max(0.0, later - ahead * (own - backward)) +
                            ahead * std::max(0.0, slowest_later - backward));
    later += own;
    slowest_later = std::max(slowest_later, own);
  }
  return end;
}

// Only one chunk per stage fills and drains; a last group of micro-batches that is not full leaves v − 1
// gaps of what it lacks.
double interleaved(const GroupJob& group, const std::vector<PassTimes>& times, double slowdown) {
  double sum = 0.0;
  double longest = 0.0;
  for (const PassTimes& stage : times) {
    const double t = stage.both(slowdown);
    sum += t;
    longest = std::max(longest, t);
  }
  const auto stages = static_cast<std::int64_t>(times.size());
  const double chunk = sum / static_cast<double>(stages * group.virtual_stages);
  const std::int64_t odd = group.micro_batches % stages;
  const double gaps =
      odd == 0 ? 0.0 : static_cast<double>((group.virtual_stages - 1) * (stages - odd));
  return static_cast<double>(group.micro_batches) * longest +
         (static_cast<double>(stages - 1) + gaps) * chunk;
}

// Without messages.
double pipeline_end(const GroupJob& group, const std::vector<PassTimes>& times, double slowdown) {
  return group.virtual_stages == 1 ? one_forward_one_backward(group, times, slowdown)
                                   : interleaved(group, times, slowdown);
}

std::vector<GroupTimes> times_of(const TrainingJob& job) {
  std::vector<GroupTimes> times(job.groups.size());
  for (std::size_t g = 0; g < times.size(); ++g) {
    const GroupJob& group = job.groups[g];
    times[g].stages.reserve(group.stages.size());
    for (const StageJob& stage : group.stages) times[g].stages.push_back(pass_times(stage));
    times[g].hops = mean_hop(group) * exposed_hops({static_cast<double>(group.stages.size()),
                                                    static_cast<double>(group.virtual_stages),
                                                    static_cast<double>(group.micro_batches)});
  }
  return times;
}

Seconds after_pipelines(const TrainingJob& job) {
  Seconds exchange{0};
  for (const GroupJob& group : job.groups) {
    for (const StageJob& stage : group.stages) exchange = std::max(exchange, stage.exchange.exposed());
  }
  return exchange + job.longest_optimizer();
}

NominalStep nominal_step(const TrainingJob& job, const std::vector<GroupTimes>& times) {
  NominalStep nominal;
  for (std::size_t g = 0; g < times.size(); ++g) {
    const double end = pipeline_end(job.groups[g], times[g].stages, 1.0);
    nominal.pipeline.emplace_back(end + times[g].hops);
    nominal.free_pipeline.emplace_back(end);
  }
  nominal.step = nominal.end() + after_pipelines(job);
  return nominal;
}

}  // namespace

NominalStep closed_nominal(const TrainingJob& job) { return nominal_step(job, times_of(job)); }

StepOutcome closed_step(const TrainingJob& job, double slowdown) {
  const std::vector<GroupTimes> times = times_of(job);
  const NominalStep nominal = nominal_step(job, times);
  StepOutcome outcome;
  Seconds end{0};
  for (std::size_t g = 0; g < times.size(); ++g) {
    const Seconds own = slowdown == 1.0
                            ? nominal.pipeline[g]
                            : Seconds(pipeline_end(job.groups[g], times[g].stages, slowdown) + times[g].hops);
    if (own <= end) continue;
    end = own;
    outcome.gate.group = g;
  }
  outcome.step = end + (nominal.step - nominal.end());
  outcome.ledger = book_step(job, nominal, {}, outcome.step);
  return outcome;
}

}  // namespace lindos::sim
