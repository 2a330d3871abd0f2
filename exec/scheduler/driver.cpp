// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/driver.h"

#include <deque>
#include <unordered_map>

#include "scenarios/error.h"

namespace lindos::scheduler {

namespace {

// Which request each sampled token of a step in flight belongs to.
struct InFlight {
  std::vector<RequestId> sampled_for;
};

void submit_arrivals(Scheduler& scheduler, const std::vector<RequestSpec>& requests, Seconds now,
                     const ServeHooks& hooks, std::size_t& next) {
  while (next < requests.size() && requests[next].arrival <= now) {
    const RequestSpec& spec = requests[next];
    Request request;
    request.id = spec.id;
    request.prompt = hooks.prompt(spec);
    request.max_new_tokens = spec.output_tokens;
    const Admission admission = scheduler.submit(request);
    if (const auto* rejected = std::get_if<Rejected>(&admission)) {
      throw Error(ErrorKind::kInfeasible, "request " + std::to_string(spec.id), rejected->reason);
    }
    ++next;
  }
}

}  // namespace

ServeOutcome serve(Scheduler& scheduler, const std::vector<RequestSpec>& requests,
                   int steps_in_flight, StepBackend& backend, const ServeHooks& hooks) {
  ServeOutcome outcome;
  std::unordered_map<RequestId, std::size_t> index;
  for (const RequestSpec& spec : requests) {
    index.emplace(spec.id, outcome.timelines.size());
    outcome.timelines.push_back({spec.id, spec.arrival, spec.prompt_tokens, {}});
  }
  outcome.outputs.resize(requests.size());

  std::deque<InFlight> in_flight;
  std::size_t next = 0;
  std::size_t finished = 0;
  while (finished < requests.size()) {
    if (hooks.cancelled && hooks.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
    submit_arrivals(scheduler, requests, backend.now(), hooks, next);

    if (in_flight.size() < static_cast<std::size_t>(steps_in_flight)) {
      const Step step = scheduler.plan();
      if (!step.empty()) {
        InFlight entry;
        for (const StepSlice& slice : step.slices) {
          if (slice.wants_logits) entry.sampled_for.push_back(slice.request);
        }
        backend.start(step);
        in_flight.push_back(std::move(entry));
        continue;
      }
    }
    if (in_flight.empty()) {
      LINDOS_ASSERT(next < requests.size(), "work left, but nothing runs and nothing arrives");
      backend.idle_until(requests[next].arrival);
      continue;
    }
    const StepResult result = backend.wait();
    const Seconds now = backend.now();
    for (RequestId id : in_flight.front().sampled_for) {
      outcome.timelines[index.at(id)].token_times.push_back(now);
    }
    in_flight.pop_front();
    scheduler.complete(result);
    for (Finished& done : scheduler.take_finished()) {
      outcome.outputs[index.at(done.request)] = std::move(done.output);
      ++finished;
    }
    if (hooks.progress) hooks.progress(finished, requests.size());
  }
  outcome.final_snapshot = scheduler.snapshot();
  return outcome;
}

}  // namespace lindos::scheduler
