// SPDX-License-Identifier: Apache-2.0
#include "sim/training/maxplus_training.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace lindos::sim {

const float* factors_of(const TrainingJob& job, const StepDraw& draw, std::size_t group, std::size_t first,
                        std::vector<float>& buffer) {
  const std::vector<StageJob>& stages = job.groups[group].stages;
  const bool slow = !draw.slowdown.empty() && !draw.slowdown[group].empty();
  const bool hot = !draw.throttle.empty() && !draw.throttle[group].empty();
  if (!slow && !hot) return nullptr;
  buffer.assign(stages.size(), 1.0F);
  for (std::size_t s = 0; s < stages.size(); ++s) {
    if (slow) buffer[s] *= std::max(draw.slowdown[group][first + s], stages[s].fastest());
    if (hot) buffer[s] *= draw.throttle[group][first + s];
  }
  return buffer.data();
}

Gate gate_of(const TrainingJob& job, const std::vector<std::vector<double>>& ends, const StepDraw& draw,
             std::size_t stage) {
  Gate gate;
  double latest = -1.0;
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const std::size_t stages = job.groups[g].stages.size();
    const std::size_t looked_at = std::min(stage, stages - 1);
    for (std::size_t i = looked_at; i < ends[g].size(); i += stages) {
      if (ends[g][i] <= latest) continue;
      latest = ends[g][i];
      gate.group = g;
      gate.replica = static_cast<std::int64_t>(i / stages);
    }
  }
  const GroupJob& group = job.groups[gate.group];
  const std::size_t stages = group.stages.size();
  std::vector<float> buffer;
  const float* factors =
      factors_of(job, draw, gate.group, static_cast<std::size_t>(gate.replica) * stages, buffer);
  double longest = -1.0;
  for (std::size_t s = 0; s < stages; ++s) {
    double busy = 0.0;
    for (const ChunkWork& chunk : group.stages[s].chunks) {
      const double factor = factors == nullptr ? 1.0 : static_cast<double>(factors[s]);
      for (const TimeSplit* split : {&chunk.forward, &chunk.backward})
        busy += split->compute().count() * factor + split->communication().count();
    }
    if (busy > longest) {
      longest = busy;
      gate.stage = s;
    }
  }
  return gate;
}

MaxplusTraining::MaxplusTraining(TrainingJob job) : job_(std::move(job)) {
  for (const GroupJob& group : job_.groups) {
    pipelines_.emplace_back(group);
    nominal_.pipeline.push_back(pipelines_.back().nominal_end());
    nominal_.free_pipeline.push_back(ReplicaPipeline(group, Messages::kFree).nominal_end());
  }
  nominal_.step = step_tail(job_, stage_ends({}), {}).step;
}

std::vector<std::vector<double>> MaxplusTraining::stage_ends(const StepDraw& draw) const {
  std::vector<std::vector<double>> ends(job_.groups.size());
  std::vector<float> buffer;
  for (std::size_t g = 0; g < job_.groups.size(); ++g) {
    const std::size_t stages = job_.groups[g].stages.size();
    const float* nominal = factors_of(job_, draw, g, 0, buffer);
    const std::size_t replicas =
        nominal == nullptr ? 1 : static_cast<std::size_t>(job_.groups[g].replicas);
    ends[g].resize(replicas * stages);
    for (std::size_t r = 0; r < replicas; ++r) {
      pipelines_[g].run(factors_of(job_, draw, g, r * stages, buffer), &ends[g][r * stages]);
    }
  }
  return ends;
}

StepOutcome MaxplusTraining::step(const StepDraw& draw, double contention) const {
  const std::vector<std::vector<double>> ends = stage_ends(draw);
  const StepTail tail = step_tail(job_, ends, draw);
  StepOutcome outcome;
  outcome.step = tail.step * (1.0 + contention);
  outcome.ledger = book_step(job_, nominal_, draw, outcome.step, tail.step * contention);
  outcome.gate = gate_of(job_, ends, draw, tail.stage);
  return outcome;
}

}  // namespace lindos::sim
