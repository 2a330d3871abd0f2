// SPDX-License-Identifier: Apache-2.0
#include "sim/maxplus.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "exec/scheduler/driver.h"
#include "exec/scheduler/limits_from_plan.h"
#include "exec/scheduler/scheduler.h"

namespace lindos::sim {

namespace {

class MaxplusBackend final : public scheduler::StepBackend {
 public:
  MaxplusBackend(ReplicaModel& replica, const Draw& draw, ServingWatch* watch)
      : replica_(replica), books_(replica, draw), watch_(watch), free_(replica.stages(), Seconds(0)) {}

  Seconds now() override { return clock_; }

  void start(const scheduler::Step& step) override {
    scheduler::StepResult result = virtual_result(step);
    const bool samples = !result.sampled.empty();
    const StepPlan plan{batch_of(step), pipe_.enter(samples), std::ssize(step.copies)};
    const Seconds begin = clock_;
    if (watch_ != nullptr) watch_->step_started(step, begin);
    clock_ += books_.overhead();
    Seconds arrived = clock_;
    for (std::size_t stage = 0; stage < free_.size(); ++stage) {
      const Seconds entered = std::max(free_[stage], arrived);
      arrived = entered + books_.compute(plan, stage, entered);
      const Seconds computed = arrived;
      // Nothing was sampled: nothing goes back to the driver.
      const bool last = stage + 1 == free_.size();
      if (!last || samples) arrived += books_.send_start(stage) + books_.send_transfer(plan, stage);
      free_[stage] = arrived;
      if (watch_ != nullptr) watch_->stage_done(stage, entered, computed, arrived);
    }
    clock_ = free_.front();
    books_.step_done(arrived - begin);
    in_flight_.push_back({std::move(result), samples ? arrived : clock_});
  }

  scheduler::StepResult wait() override {
    Done done = std::move(in_flight_.front());
    in_flight_.pop_front();
    (void)pipe_.leave();
    clock_ = std::max(clock_, done.at);
    return std::move(done.result);
  }

  void idle_until(Seconds t) override {
    if (t <= clock_) return;
    books_.idle(t - clock_);
    clock_ = t;
  }

  // One stage has nothing in flight between steps.
  bool foresees() const override { return watch_ == nullptr && free_.size() == 1 && replica_.uniform(0); }

  void run_plain(const scheduler::PlainDecodes& steps, Seconds before, std::vector<Seconds>& ends) override {
    StepTotals totals = decode_totals(steps.contexts, replica_.windows());
    for (std::int64_t done = 0; done < steps.steps && (done == 0 || clock_ < before); ++done) {
      if (done > 0) move_on(totals, steps.contexts, done, replica_.windows());
      const Seconds begin = clock_;
      clock_ += books_.overhead();
      clock_ += books_.compute(totals, 1, 0, clock_);
      books_.step_done(clock_ - begin);
      ends.push_back(clock_);
    }
    free_.front() = clock_;
  }

  ServingRun close() { return books_.close(clock_); }

 private:
  struct Done {
    scheduler::StepResult result;
    Seconds at{0};
  };
  const ReplicaModel& replica_;
  ServingBooks books_;
  ServingWatch* watch_;
  Pipe pipe_;
  Seconds clock_{0};
  std::vector<Seconds> free_;  // [stage]
  std::deque<Done> in_flight_;
};

scheduler::ServeHooks hooks_with(bool prefix_reuse, const std::function<bool()>& cancelled) {
  scheduler::ServeHooks hooks = virtual_hooks(prefix_reuse);
  hooks.cancelled = cancelled;
  return hooks;
}

}  // namespace

struct MaxplusReplica::State {
  State(ReplicaModel& replica, const scheduler::Limits& limits, const Draw& draw,
        const std::function<bool()>& cancelled, ServingWatch* watch)
      : scheduler(limits, scheduler::kServingPolicy),
        backend(replica, draw, watch),
        loop(scheduler, static_cast<int>(replica.stages()), backend, hooks_with(limits.prefix_reuse, cancelled)) {}
  scheduler::Scheduler scheduler;
  MaxplusBackend backend;
  scheduler::ServingLoop loop;
};

MaxplusReplica::MaxplusReplica(ReplicaModel& replica, const scheduler::Limits& limits, const Draw& draw,
                               const std::function<bool()>& cancelled, ServingWatch* watch)
    : state_(std::make_unique<State>(replica, limits, draw, cancelled, watch)) {}
MaxplusReplica::~MaxplusReplica() = default;
MaxplusReplica::MaxplusReplica(MaxplusReplica&&) noexcept = default;

scheduler::ServingLoop& MaxplusReplica::loop() { return state_->loop; }

ServingRun MaxplusReplica::close() {
  ServingRun run = state_->backend.close();
  scheduler::ServeOutcome outcome = state_->loop.close();
  run.timelines = std::move(outcome.timelines);
  run.count_prefixes(outcome.final_snapshot);
  return run;
}

ServingRun serve_maxplus(ReplicaModel& replica, const scheduler::Limits& limits,
                         const std::vector<RequestSpec>& requests, const Draw& draw,
                         const std::function<bool()>& cancelled, ServingWatch* watch) {
  MaxplusReplica served(replica, limits, draw, cancelled, watch);
  for (const RequestSpec& request : requests) served.loop().add(request);
  served.loop().run();
  return served.close();
}

}  // namespace lindos::sim
