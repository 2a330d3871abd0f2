// SPDX-License-Identifier: Apache-2.0
#include "sim/training/replica_pipeline.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

constexpr std::int32_t kNoInput = -1;

// The pass that hands a pass its input: the same micro-batch one chunk earlier (forward) or later
// (backward) along the model; the loss turns the last chunk's forward into its backward.
struct Source {
  int stage = -1;  // -1: none, the data loader
  Pass pass;
};

Source source_of(int stages, int chunks, int stage, const Pass& pass) {
  if (!pass.backward) {
    if (stage > 0) return {stage - 1, pass};
    if (pass.chunk > 0) return {stages - 1, {false, pass.chunk - 1, pass.micro_batch}};
    return {};
  }
  if (stage + 1 < stages) return {stage + 1, pass};
  if (pass.chunk + 1 < chunks) return {0, {true, pass.chunk + 1, pass.micro_batch}};
  return {stage, {false, pass.chunk, pass.micro_batch}};
}

}  // namespace

ReplicaPipeline::ReplicaPipeline(const GroupJob& group, Messages messages) {
  const auto stages = static_cast<int>(group.stages.size());
  const int chunks = group.virtual_stages;
  slots_ = 2 * static_cast<std::size_t>(chunks);
  for (const StageJob& stage : group.stages) {
    LINDOS_ASSERT(stage.chunks.size() == static_cast<std::size_t>(chunks), "one work per chunk");
    for (const ChunkWork& chunk : stage.chunks) {
      for (const TimeSplit* split : {&chunk.forward, &chunk.backward}) {
        compute_.push_back(split->compute().count());
        fixed_.push_back(split->communication().count());
      }
    }
  }
  std::vector<std::vector<Pass>> schedules;
  for (int s = 0; s < stages; ++s)
    schedules.push_back(stage_schedule(stages, chunks, group.micro_batches, s));

  const auto slot_of = [](const Pass& pass) {
    return static_cast<std::size_t>(pass.chunk) * 2 + (pass.backward ? 1U : 0U);
  };
  const auto micro_batches = static_cast<std::size_t>(group.micro_batches);
  std::vector<std::int32_t> position(static_cast<std::size_t>(stages) * slots_ * micro_batches, kNoInput);
  const auto key = [&](int stage, const Pass& pass) {
    return (static_cast<std::size_t>(stage) * slots_ + slot_of(pass)) * micro_batches +
           static_cast<std::size_t>(pass.micro_batch);
  };
  // A message leaves over the sender's path; without a neighbour there is none.
  const auto hop = [&](int from, int to, const Pass& pass) {
    if (from == to || messages == Messages::kFree) return 0.0;
    const StageJob& sender = group.stages[static_cast<std::size_t>(from)];
    const StageJob& wire = pass.backward ? group.stages[static_cast<std::size_t>(to)] : sender;
    const ChunkWork& work = sender.chunks[static_cast<std::size_t>(pass.chunk)];
    const Bytes message = pass.backward ? work.backward_message : work.forward_message;
    return wire.next.transfer(message).count();
  };

  std::vector<std::size_t> next(static_cast<std::size_t>(stages), 0);
  const std::size_t total = static_cast<std::size_t>(stages) * slots_ * micro_batches;
  order_.reserve(total);
  while (order_.size() < total) {
    const std::size_t before = order_.size();
    for (int s = 0; s < stages; ++s) {
      const std::vector<Pass>& schedule = schedules[static_cast<std::size_t>(s)];
      std::size_t& at = next[static_cast<std::size_t>(s)];
      for (; at < schedule.size(); ++at) {
        const Pass& pass = schedule[at];
        const Source source = source_of(stages, chunks, s, pass);
        Step step{static_cast<std::uint32_t>(s), static_cast<std::uint32_t>(slot_of(pass)), kNoInput, 0.0};
        if (source.stage >= 0) {
          step.input = position[key(source.stage, source.pass)];
          if (step.input == kNoInput) break;
          step.hop = hop(source.stage, s, source.pass);
        }
        position[key(s, pass)] = static_cast<std::int32_t>(order_.size());
        order_.push_back(step);
      }
    }
    LINDOS_ASSERT(order_.size() > before, "the schedules of the stages wait for each other");
  }
}

void ReplicaPipeline::run(const float* factors, double* ends) const { solve(factors, ends); }

const std::vector<double>& ReplicaPipeline::solve(const float* factors, double* ends) const {
  const std::size_t count = stages();
  std::fill(ends, ends + count, 0.0);
  thread_local std::vector<double> durations;
  thread_local std::vector<double> done;
  durations.resize(compute_.size());
  done.resize(order_.size());
  for (std::size_t i = 0; i < compute_.size(); ++i) {
    const double factor = factors == nullptr ? 1.0 : static_cast<double>(factors[i / slots_]);
    durations[i] = compute_[i] * factor + fixed_[i];
  }
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const Step& step = order_[i];
    double start = ends[step.stage];
    if (step.input != kNoInput)
      start = std::max(start, done[static_cast<std::size_t>(step.input)] + step.hop);
    const double end = start + durations[step.stage * slots_ + step.slot];
    done[i] = end;
    ends[step.stage] = end;
  }
  return done;
}

std::vector<TimedPass> ReplicaPipeline::passes(const float* factors) const {
  std::vector<double> free(stages());
  const std::vector<double>& done = solve(factors, free.data());
  std::fill(free.begin(), free.end(), 0.0);
  std::vector<std::int64_t> begun(compute_.size(), 0);  // micro-batches go through a slot in order
  std::vector<TimedPass> out;
  out.reserve(order_.size());
  for (std::size_t i = 0; i < order_.size(); ++i) {
    const Step& step = order_[i];
    TimedPass timed;
    timed.stage = step.stage;
    timed.pass = {step.slot % 2 == 1, static_cast<int>(step.slot / 2), begun[step.stage * slots_ + step.slot]++};
    timed.input = step.input;
    if (step.input != kNoInput) timed.arrived = done[static_cast<std::size_t>(step.input)] + step.hop;
    timed.start = std::max(free[step.stage], timed.arrived);
    timed.end = done[i];
    free[step.stage] = timed.end;
    out.push_back(timed);
  }
  return out;
}

Seconds ReplicaPipeline::nominal_end() const {
  std::vector<double> ends(stages());
  run(nullptr, ends.data());
  return Seconds(*std::max_element(ends.begin(), ends.end()));
}

}  // namespace lindos::sim
