// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/driver.h"

#include <algorithm>

#include "scenarios/error.h"

namespace lindos::scheduler {

namespace {

constexpr Seconds kNever{std::numeric_limits<double>::infinity()};

}  // namespace

ServingLoop::ServingLoop(Scheduler& scheduler, int steps_in_flight, StepBackend& backend, ServeHooks hooks)
    : scheduler_(scheduler),
      backend_(backend),
      hooks_(std::move(hooks)),
      steps_in_flight_(static_cast<std::size_t>(steps_in_flight)) {}

void ServingLoop::add(const RequestSpec& request) {
  index_.emplace(request.id, outcome_.timelines.size());
  outcome_.timelines.push_back({request.id, request.arrival, request.prompt_tokens, {}, request.tenant});
  outcome_.outputs.emplace_back();
  coming_.push_back(request);
}

// When the next request arrived; nothing while it has not, or when there is none.
std::optional<Seconds> ServingLoop::arrived(Seconds now) const {
  if (coming_.empty()) return std::nullopt;
  const RequestSpec& next = coming_.front();
  if (!next.on_completion) return next.arrival <= now ? std::optional(next.arrival) : std::nullopt;
  return completions_.empty() ? std::nullopt : std::optional(completions_.front());
}

// Before which nothing new can come while nothing ends.
Seconds ServingLoop::not_before() const {
  return coming_.empty() || coming_.front().on_completion ? kNever : coming_.front().arrival;
}

// A request that arrived while another one's last step ran does not know of that one's end, however late it is looked at.
bool ServingLoop::lets_in(const RequestSpec& request, Seconds arrival) {
  if (!hooks_.admission) return true;
  while (!ended_at_.empty() && ended_at_.front() <= arrival) {
    ended_at_.pop_front();
    --unfinished_;
  }
  const bool admitted =
      hooks_.admission->admits(request, arrival, [&] { return AdmissionControl::Unfinished{unfinished_, unfinished_}; });
  if (admitted) ++unfinished_;
  return admitted;
}

void ServingLoop::submit_arrivals(Seconds now) {
  while (const std::optional<Seconds> arrival = arrived(now)) {
    const RequestSpec& spec = coming_.front();
    outcome_.timelines[index_.at(spec.id)].arrival = *arrival;
    if (spec.on_completion) completions_.pop_front();
    if (!lets_in(spec, *arrival)) {
      coming_.pop_front();
      ++finished_;
      // Being turned away is an answer, the earliest that is not taken up.
      if (waits_for_completion()) completions_.push_front(*arrival);
      continue;
    }
    Request request;
    request.id = spec.id;
    request.prompt = hooks_.prompt(spec);
    request.max_new_tokens = spec.output_tokens;
    request.stop_tokens = hooks_.stop_tokens;
    request.kv_tokens = spec.kv_tokens;
    request.priority = spec.priority;
    const Admission admission = scheduler_.submit(request);
    if (const auto* rejected = std::get_if<Rejected>(&admission)) {
      throw Error(ErrorKind::kInfeasible, "request " + std::to_string(spec.id), rejected->reason);
    }
    coming_.pop_front();
  }
}

void ServingLoop::collect() {
  for (Finished& done : scheduler_.take_finished()) {
    const std::size_t request = index_.at(done.request);
    outcome_.outputs[request] = std::move(done.output);
    const std::vector<Seconds>& tokens = outcome_.timelines[request].token_times;
    endings_.push_back({request, tokens.empty() ? backend_.now() : tokens.back()});
    if (hooks_.admission) ended_at_.push_back(endings_.back().at);
    if (waits_for_completion()) completions_.push_back(backend_.now());
    ++finished_;
  }
  if (hooks_.progress) hooks_.progress(finished_, outcome_.timelines.size());
}

// True if the backend could book steps ahead, and did.
bool ServingLoop::run_plain(Seconds until) {
  if (!backend_.foresees() || !in_flight_.empty()) return false;
  const PlainDecodes plain = scheduler_.plain_decodes();
  if (plain.steps == 0) return false;
  plain_ends_.clear();
  backend_.run_plain(plain, std::min(until, not_before()), plain_ends_);
  for (const RequestId id : plain.requests) {
    std::vector<Seconds>& times = outcome_.timelines[index_.at(id)].token_times;
    times.insert(times.end(), plain_ends_.begin(), plain_ends_.end());
  }
  scheduler_.advance(std::ssize(plain_ends_));
  collect();
  return true;
}

bool ServingLoop::start_step() {
  if (in_flight_.size() >= steps_in_flight_) return false;
  const Step step = scheduler_.plan();
  if (step.empty()) return false;
  InFlight entry;
  for (const StepSlice& slice : step.slices) {
    if (slice.wants_logits) entry.sampled_for.push_back(slice.request);
  }
  backend_.start(step);
  in_flight_.push_back(std::move(entry));
  return true;
}

void ServingLoop::finish_step() {
  const StepResult result = backend_.wait();
  const Seconds now = backend_.now();
  for (const RequestId id : in_flight_.front().sampled_for) {
    outcome_.timelines[index_.at(id)].token_times.push_back(now);
  }
  in_flight_.pop_front();
  scheduler_.complete(result);
  collect();
}

Seconds ServingLoop::next_start() {
  if (finished_ == outcome_.timelines.size()) return kNever;
  const Seconds now = backend_.now();
  return scheduler_.idle() && in_flight_.empty() ? std::max(now, not_before()) : now;
}

void ServingLoop::run(Seconds until, bool to_ending) {
  while (finished_ < outcome_.timelines.size() && !(to_ending && !endings_.empty())) {
    if (hooks_.cancelled && hooks_.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
    const Seconds now = backend_.now();
    if (now >= until) return;
    submit_arrivals(now);
    if (finished_ == outcome_.timelines.size()) return;  // the last ones were turned away
    if (run_plain(until) || start_step()) continue;
    if (!in_flight_.empty()) {
      finish_step();
      continue;
    }
    LINDOS_ASSERT(not_before() < kNever, "work left, but nothing runs and nothing arrives");
    if (not_before() >= until) return;
    backend_.idle_until(not_before());
  }
}

ServeOutcome ServingLoop::close() {
  outcome_.final_snapshot = scheduler_.snapshot();
  return std::move(outcome_);
}

ServeOutcome serve(Scheduler& scheduler, const std::vector<RequestSpec>& requests, int steps_in_flight,
                   StepBackend& backend, const ServeHooks& hooks) {
  ServingLoop loop(scheduler, steps_in_flight, backend, hooks);
  for (const RequestSpec& request : requests) loop.add(request);
  loop.run();
  return loop.close();
}

}  // namespace lindos::scheduler
