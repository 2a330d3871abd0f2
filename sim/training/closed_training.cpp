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

// Forward and backward of all chunks of a stage, one micro-batch.
double stage_time(const StageJob& stage, double slowdown) {
  double sum = 0.0;
  for (const ChunkWork& chunk : stage.chunks) {
    for (const TimeSplit* split : {&chunk.forward, &chunk.backward})
      sum += split->compute().count() * slowdown + split->communication().count();
  }
  return sum;
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
double one_forward_one_backward(const GroupJob& group, double slowdown) {
  const std::size_t stages = group.stages.size();
  const auto micro_batches = static_cast<double>(group.micro_batches);
  double before = 0.0;
  for (const StageJob& stage : group.stages) before += stage_time(stage, slowdown);
  double later = 0.0;
  double slowest_later = 0.0;
  double end = 0.0;
  for (std::size_t i = stages; i-- > 0;) {
    const StageJob& stage = group.stages[i];
    const double own = stage_time(stage, slowdown);
    const double backward = stage.chunks.front().backward.compute().count() * slowdown +
                            stage.chunks.front().backward.communication().count();
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
double interleaved(const GroupJob& group, double slowdown) {
  double sum = 0.0;
  double longest = 0.0;
  for (const StageJob& stage : group.stages) {
    const double t = stage_time(stage, slowdown);
    sum += t;
    longest = std::max(longest, t);
  }
  const auto stages = static_cast<std::int64_t>(group.stages.size());
  const double chunk = sum / static_cast<double>(stages * group.virtual_stages);
  const std::int64_t odd = group.micro_batches % stages;
  const double gaps =
      odd == 0 ? 0.0 : static_cast<double>((group.virtual_stages - 1) * (stages - odd));
  return static_cast<double>(group.micro_batches) * longest +
         (static_cast<double>(stages - 1) + gaps) * chunk;
}

double pipeline_end(const GroupJob& group, double slowdown, bool free_messages) {
  const double end = group.virtual_stages == 1 ? one_forward_one_backward(group, slowdown)
                                               : interleaved(group, slowdown);
  if (free_messages) return end;
  return end + mean_hop(group) * exposed_hops({static_cast<double>(group.stages.size()),
                                               static_cast<double>(group.virtual_stages),
                                               static_cast<double>(group.micro_batches)});
}

Seconds after_pipelines(const TrainingJob& job) {
  Seconds exchange{0};
  for (const GroupJob& group : job.groups) {
    for (const StageJob& stage : group.stages) exchange = std::max(exchange, stage.exchange.exposed());
  }
  return exchange + job.longest_optimizer();
}

}  // namespace

NominalStep closed_nominal(const TrainingJob& job) {
  NominalStep nominal;
  for (const GroupJob& group : job.groups) {
    nominal.pipeline.emplace_back(pipeline_end(group, 1.0, false));
    nominal.free_pipeline.emplace_back(pipeline_end(group, 1.0, true));
  }
  nominal.step = nominal.end() + after_pipelines(job);
  return nominal;
}

StepOutcome closed_step(const TrainingJob& job, double slowdown) {
  const NominalStep nominal = closed_nominal(job);
  StepOutcome outcome;
  double end = 0.0;
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const double own = pipeline_end(job.groups[g], slowdown, false);
    if (own <= end) continue;
    end = own;
    outcome.gate.group = g;
  }
  outcome.step = Seconds(end) + after_pipelines(job);
  outcome.ledger = book_step(job, nominal, {}, outcome.step);
  return outcome;
}

}  // namespace lindos::sim
