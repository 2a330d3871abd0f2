// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/driver.h"

#include <deque>
#include <iterator>
#include <limits>
#include <optional>
#include <unordered_map>

#include "scenarios/error.h"

namespace lindos::scheduler {

namespace {

// Which request each sampled token of a step in flight belongs to.
struct InFlight {
  std::vector<RequestId> sampled_for;
};

// Requests in order of arrival: each at its own time, or when one that ended has made room for it (closed loop).
class Arrivals {
 public:
  explicit Arrivals(const std::vector<RequestSpec>& requests) : requests_(requests) {}

  // When the next request arrived; nothing while it has not, or when there is none.
  [[nodiscard]] std::optional<Seconds> arrived(Seconds now) const {
    if (next_ == requests_.size()) return std::nullopt;
    const RequestSpec& spec = requests_[next_];
    if (!spec.on_completion) return spec.arrival <= now ? std::optional(spec.arrival) : std::nullopt;
    return endings_.empty() ? std::nullopt : std::optional(endings_.front());
  }
  // Before which nothing new can come while nothing ends.
  [[nodiscard]] Seconds not_before() const {
    constexpr Seconds kNever{std::numeric_limits<double>::infinity()};
    return next_ == requests_.size() || next().on_completion ? kNever : next().arrival;
  }
  [[nodiscard]] const RequestSpec& next() const { return requests_[next_]; }
  void pop() {
    if (next().on_completion) endings_.pop_front();
    ++next_;
  }
  void ended(Seconds at) {
    if (next_ < requests_.size() && next().on_completion) endings_.push_back(at);
  }
  // The time that nothing can happen before, when nothing runs.
  [[nodiscard]] Seconds idle_until() const {
    LINDOS_ASSERT(next_ < requests_.size() && !next().on_completion,
                  "work left, but nothing runs and nothing arrives");
    return next().arrival;
  }

 private:
  const std::vector<RequestSpec>& requests_;
  std::size_t next_ = 0;
  std::deque<Seconds> endings_;  // that no arrival answered yet
};

void submit_arrivals(Scheduler& scheduler, Arrivals& arrivals, Seconds now, const ServeHooks& hooks,
                     const std::unordered_map<RequestId, std::size_t>& index, ServeOutcome& outcome) {
  while (const std::optional<Seconds> arrival = arrivals.arrived(now)) {
    const RequestSpec& spec = arrivals.next();
    Request request;
    request.id = spec.id;
    request.prompt = hooks.prompt(spec);
    request.max_new_tokens = spec.output_tokens;
    request.stop_tokens = hooks.stop_tokens;
    const Admission admission = scheduler.submit(request);
    if (const auto* rejected = std::get_if<Rejected>(&admission)) {
      throw Error(ErrorKind::kInfeasible, "request " + std::to_string(spec.id), rejected->reason);
    }
    outcome.timelines[index.at(spec.id)].arrival = *arrival;
    arrivals.pop();
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
  Arrivals arrivals(requests);
  std::size_t finished = 0;
  std::vector<Seconds> ends;  // of plain steps
  const auto collect = [&] {
    for (Finished& done : scheduler.take_finished()) {
      outcome.outputs[index.at(done.request)] = std::move(done.output);
      arrivals.ended(backend.now());
      ++finished;
    }
    if (hooks.progress) hooks.progress(finished, requests.size());
  };
  while (finished < requests.size()) {
    if (hooks.cancelled && hooks.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
    submit_arrivals(scheduler, arrivals, backend.now(), hooks, index, outcome);

    if (backend.foresees() && in_flight.empty()) {
      const PlainDecodes plain = scheduler.plain_decodes();
      if (plain.steps > 0) {
        ends.clear();
        backend.run_plain(plain, arrivals.not_before(), ends);
        for (const RequestId id : plain.requests) {
          std::vector<Seconds>& times = outcome.timelines[index.at(id)].token_times;
          times.insert(times.end(), ends.begin(), ends.end());
        }
        scheduler.advance(std::ssize(ends));
        collect();
        continue;
      }
    }
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
      backend.idle_until(arrivals.idle_until());
      continue;
    }
    const StepResult result = backend.wait();
    const Seconds now = backend.now();
    for (RequestId id : in_flight.front().sampled_for) {
      outcome.timelines[index.at(id)].token_times.push_back(now);
    }
    in_flight.pop_front();
    scheduler.complete(result);
    collect();
  }
  outcome.final_snapshot = scheduler.snapshot();
  return outcome;
}

}  // namespace lindos::scheduler
