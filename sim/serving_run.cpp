// SPDX-License-Identifier: Apache-2.0
#include "sim/serving_run.h"

#include <algorithm>
#include <utility>

#include "sim/virtual_prompt.h"

namespace lindos::sim {

namespace {

constexpr FlopPerSecond kUnitPeak{1.0};

FlopPerSecond peak_of(const std::vector<RankCeiling>& ranks) {
  FlopPerSecond sum{0};
  for (const RankCeiling& rank : ranks) sum += rank.peak;
  return sum;
}

}  // namespace

int Pipe::enter(bool samples) {
  waited_for_.push_back(samples);
  return static_cast<int>(waited_for_.size()) + unseen_;
}

bool Pipe::leave() {
  const bool samples = waited_for_.front();
  waited_for_.pop_front();
  // Steps keep their order in the pipe: a result says that all before it are gone.
  unseen_ = samples ? 0 : unseen_ + 1;
  return samples;
}

void ServingBooks::book_on_stage(Cause cause, Seconds span, std::size_t stage) {
  for (const RankCeiling& rank : replica_.ranks(stage)) stages_[stage].book(cause, span, rank.peak);
}

double ServingBooks::message_factor(std::size_t stage) const {
  return draw_.factor(replica_.ranks(stage).front().device, Family::kCollective);
}

ServingBooks::ServingBooks(ReplicaModel& replica, const Draw& draw) : replica_(replica), draw_(draw) {
  for (std::size_t s = 0; s < replica.stages(); ++s) {
    uniform_.emplace_back();
    if (replica.uniform(s)) uniform_.back().emplace(replica, draw, s);
  }
}

Seconds ServingBooks::overhead() {
  overheads_ += 1.0;
  return replica_.step_overhead() * draw_.factor(replica_.ranks(0).front().device, Family::kHost);
}

Seconds exposed_copy(Seconds copying, Seconds computing, std::int64_t layers) {
  const auto n = static_cast<double>(layers);
  return std::max(copying / n, copying - computing * ((n - 1.0) / n));
}

Seconds ServingBooks::copying(std::int64_t blocks, std::size_t stage) const {
  if (blocks == 0) return Seconds(0);
  return replica_.block_copy(stage) * (static_cast<double>(blocks) * message_factor(stage));
}

Seconds ServingBooks::compute(const StepPlan& step, std::size_t stage, Seconds at) {
  const Seconds copies = copying(step.copies, stage);
  const std::int64_t layers = replica_.copied_layers(stage);
  const Seconds begin = at + copies / static_cast<double>(layers);
  Seconds span{0};
  if (uniform_[stage]) {
    span = compute(totals_of(step.batch, replica_.windows()), step.steps_under_way, stage, begin);
  } else {
    const StageWork& work = replica_.work(step.batch, stage, step.steps_under_way);
    const Joules added = book(work, replica_.ranks(stage), draw_, stages_[stage], totals_);
    span = compute_time(work, replica_.ranks(stage), draw_);
    spend(stage, begin, span, added);
  }
  if (step.copies == 0) return span;
  const Seconds exposed = exposed_copy(copies, span, layers);
  book_on_stage(Cause::kTransfer, exposed, stage);
  return span + exposed;
}

Seconds ServingBooks::send_start(std::size_t stage) {
  if (replica_.stages() < 2) return Seconds(0);
  const Seconds span = replica_.path(stage).alpha * message_factor(stage);
  book_on_stage(Cause::kExposedPipeline, span, stage);
  return span;
}

Bytes ServingBooks::send_bytes(const StepPlan& step, std::size_t stage) {
  return replica_.sent_bytes(step.batch, stage);
}

Seconds ServingBooks::send_transfer(const StepPlan& step, std::size_t stage) {
  if (replica_.stages() < 2) return Seconds(0);
  const Seconds span =
      send_bytes(step, stage) / replica_.path(stage).bandwidth * message_factor(stage);
  book_transfer(span, stage);
  return span;
}

void ServingBooks::book_transfer(Seconds span, std::size_t stage) {
  book_on_stage(Cause::kExposedPipeline, span, stage);
}

ServingRun ServingBooks::close(Seconds end) {
  ServingRun run;
  run.end = end;
  const Seconds overhead =
      replica_.step_overhead() * (overheads_ * draw_.factor(replica_.ranks(0).front().device, Family::kHost));
  // Planning runs on the first rank while the rest of its stage waits for the batch.
  book_on_stage(Cause::kHostOverhead, overhead, 0);
  totals_.seconds[static_cast<std::size_t>(Family::kHost)][static_cast<std::size_t>(Tier::kMeasured)] +=
      overhead.count();
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    if (uniform_[s]) uniform_[s]->close(stages_[s], totals_);
  }
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    const FlopPerSecond peak = peak_of(replica_.ranks(s));
    const double capacity = (peak * end).value();
    const double left = std::max(0.0, capacity - stages_[s].capacity_flop());
    stages_[s].book(Cause::kNoWork, Seconds(std::min((peak * idle_).value(), left)), kUnitPeak);
    // A single stage has no bubble; what is left there is rounding.
    stages_[s].close(capacity, stages_.size() > 1 ? Cause::kPipelineBubble : Cause::kNoWork);
    run.ledger.merge(stages_[s]);
  }
  run.totals = totals_;
  run.step_times = std::move(step_times_);
  run.power = std::move(power_);
  return run;
}

scheduler::ServeHooks virtual_hooks(bool prefix_reuse) {
  scheduler::ServeHooks hooks;
  hooks.prompt = [prefix_reuse](const RequestSpec& spec) {
    if (prefix_reuse) return virtual_prompt(spec);
    return std::vector<scheduler::TokenId>(static_cast<std::size_t>(spec.prompt_tokens), 0);
  };
  return hooks;
}

scheduler::StepResult virtual_result(const scheduler::Step& step) {
  const auto sampled = std::count_if(step.slices.begin(), step.slices.end(),
                                     [](const scheduler::StepSlice& s) { return s.wants_logits; });
  return {step.id, std::vector<scheduler::TokenId>(static_cast<std::size_t>(sampled), 0)};
}

}  // namespace lindos::sim
