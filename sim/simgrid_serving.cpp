// SPDX-License-Identifier: Apache-2.0
#include "sim/simgrid_serving.h"

#include <cmath>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include <simgrid/s4u.hpp>

#include "exec/scheduler/driver.h"
#include "exec/scheduler/limits_from_plan.h"
#include "exec/scheduler/scheduler.h"
#include "scenarios/error.h"
#include "sim/isolated.h"
#include "sim/serving_run_bytes.h"

namespace lindos::sim {

namespace sg = simgrid::s4u;

namespace {

// A step between stages, and its result on the way back.
struct Message {
  StepPlan plan;
  scheduler::StepResult result;
  Seconds begin{0};
};

Seconds clock_now() { return Seconds(sg::Engine::get_clock()); }
void spend(Seconds span) { sg::this_actor::sleep_for(span.count()); }

sg::Mailbox* mailbox_of(std::size_t stage) {
  return sg::Mailbox::by_name("stage-" + std::to_string(stage));
}

// Sends from `stage` to the next (the last one's next is the driver) and returns when the buffer is
// free.
void send(ServingBooks& books, std::size_t stage, std::size_t stages,
          std::unique_ptr<Message> message) {
  spend(books.send_start(stage));
  const Seconds begin = clock_now();
  const double bytes = books.send_bytes(message->plan, stage).value();
  mailbox_of((stage + 1) % stages)
      ->put(message.release(), static_cast<std::uint64_t>(std::llround(bytes)));
  books.book_transfer(clock_now() - begin, stage);
}

class SimgridBackend final : public scheduler::StepBackend {
 public:
  SimgridBackend(ReplicaModel& replica, ServingBooks& books)
      : books_(books), stages_(replica.stages()) {}

  Seconds now() override { return clock_now(); }

  void start(const scheduler::Step& step) override {
    auto message = std::make_unique<Message>();
    message->begin = clock_now();
    message->result = virtual_result(step);
    message->plan = {batch_of(step), pipe_.enter(!message->result.sampled.empty()), std::ssize(step.copies)};
    if (message->result.sampled.empty() || stages_ == 1) done_.push_back(message->result);
    spend(books_.overhead());
    spend(books_.compute(message->plan, 0, clock_now()));
    if (stages_ == 1) {
      books_.step_done(clock_now() - message->begin);
      return;
    }
    send(books_, 0, stages_, std::move(message));
  }

  scheduler::StepResult wait() override {
    const bool samples = pipe_.leave();
    if (samples && stages_ > 1) return std::move(mailbox_of(0)->get_unique<Message>()->result);
    scheduler::StepResult result = std::move(done_.front());
    done_.pop_front();
    return result;
  }

  void idle_until(Seconds t) override {
    if (t <= clock_now()) return;
    books_.idle(t - clock_now());
    sg::this_actor::sleep_until(t.count());
  }

 private:
  ServingBooks& books_;
  std::size_t stages_;
  Pipe pipe_;
  std::deque<scheduler::StepResult> done_;  // results that need no message
};

// Declares the calling actor the owner of its mailbox, so that messages flow to it while it
// computes.
void own_mailbox(std::size_t stage) { mailbox_of(stage)->set_receiver(sg::Actor::self()); }

void run_stage(ServingBooks& books, std::size_t stage, std::size_t stages) {
  own_mailbox(stage);
  for (;;) {
    std::unique_ptr<Message> message = mailbox_of(stage)->get_unique<Message>();
    spend(books.compute(message->plan, stage, clock_now()));
    const Seconds begin = message->begin;
    const bool last = stage + 1 == stages;
    // Nothing was sampled: nothing goes back to the driver.
    if (!last || !message->result.sampled.empty()) send(books, stage, stages, std::move(message));
    if (last) books.step_done(clock_now() - begin);
  }
}

}  // namespace

std::vector<PlatformDevice> stage_devices(
    const GroupPlan& group, const ReplicaModel& replica,
    const std::map<std::string, ProfiledDevice>& devices_by_pool,
    const std::map<std::string, int>& devices_per_node_by_pool) {
  std::vector<PlatformDevice> devices;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const std::string& pool = group.stages[s].ranks.front().pool;
    devices.push_back({devices_by_pool.at(pool).device, replica.position(s), devices_per_node_by_pool.at(pool),
                       replica.path(s).bandwidth});
  }
  return devices;
}

ServingRun serve_simgrid(ReplicaModel& replica, const Fabric& fabric,
                         const std::vector<PlatformDevice>& stages, const scheduler::Limits& limits,
                         const std::vector<RequestSpec>& requests) {
  LINDOS_ASSERT(stages.size() == replica.stages(), "one platform device per stage");
  const Draw centre;
  ServingBooks books(replica, centre);
  Platform platform(fabric, stages);
  const std::size_t count = stages.size();
  for (std::size_t s = 0; count > 1 && s < count; ++s) platform.connect(s, (s + 1) % count);
  platform.seal();

  std::vector<RequestTimeline> timelines;
  scheduler::Snapshot last;
  Seconds end{0};
  std::exception_ptr failure;  // an exception must not leave an actor
  const auto guarded = [&failure](auto&& body) {
    try {
      body();
    } catch (const Error&) {
      failure = std::current_exception();
    }
  };
  sg::Actor::create("driver", platform.host(0), [&] {
    guarded([&] {
      own_mailbox(0);
      scheduler::Scheduler state(limits, scheduler::kServingPolicy);
      SimgridBackend backend(replica, books);
      scheduler::ServeOutcome outcome =
          scheduler::serve(state, requests, static_cast<int>(count), backend, virtual_hooks(limits.prefix_reuse));
      timelines = std::move(outcome.timelines);
      last = outcome.final_snapshot;
      end = clock_now();
    });
  });
  for (std::size_t s = 1; s < count; ++s) {
    // A daemon: the run ends with the driver.
    sg::Actor::create("stage-" + std::to_string(s), platform.host(s), [&, s] {
      guarded([&] { run_stage(books, s, count); });
    })->daemonize();
  }
  platform.run();
  if (failure) std::rethrow_exception(failure);
  ServingRun run = books.close(end);
  run.timelines = std::move(timelines);
  run.count_prefixes(last);
  return run;
}

ServingRun serve_simgrid_isolated(ReplicaModel& replica, const Fabric& fabric,
                                  const std::vector<PlatformDevice>& stages,
                                  const scheduler::Limits& limits,
                                  const std::vector<RequestSpec>& requests,
                                  const std::function<bool()>& cancelled) {
  return serving_run_from_bytes(run_isolated(
      [&] { return to_bytes(serve_simgrid(replica, fabric, stages, limits, requests)); },
      cancelled));
}

}  // namespace lindos::sim
