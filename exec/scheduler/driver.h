// SPDX-License-Identifier: Apache-2.0
// The serving loop, written once: submits arrivals, plans, starts steps, collects results. The engine gives
// it a backend on the real clock, sim one on a virtual clock (max-plus recursion or SimGrid actor).
// The driver runs on rank 0 of stage 0, so start() returns when that stage is free again.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "exec/scheduler/admission.h"
#include "exec/scheduler/scheduler.h"
#include "scenarios/timeline.h"
#include "scenarios/workload.h"

namespace lindos::scheduler {

class StepBackend {
 public:
  virtual ~StepBackend() = default;
  // Seconds since the run began.
  [[nodiscard]] virtual Seconds now() = 0;
  // Runs the first stage of the step and hands it to the next one.
  virtual void start(const Step& step) = 0;
  // Waits for the oldest step in flight to leave the last stage.
  [[nodiscard]] virtual StepResult wait() = 0;
  // Nothing can run before `t` (the next arrival).
  virtual void idle_until(Seconds t) = 0;
  // Whether run_plain may be called: on a virtual clock, where no step needs its predecessor's tokens.
  [[nodiscard]] virtual bool foresees() const { return false; }
  // Runs the first of these steps and as many more as start before `before`; appends the end of each to `ends`.
  // REQUIRES: foresees(), nothing in flight.
  virtual void run_plain(const PlainDecodes& /*steps*/, Seconds /*before*/, std::vector<Seconds>& /*ends*/) {}
};

struct ServeOutcome {
  std::vector<RequestTimeline> timelines;             // in order of RequestSpec, those turned away without tokens
  std::vector<std::vector<TokenId>> outputs;          // the same order
  Snapshot final_snapshot;
};

struct ServeHooks {
  std::function<std::vector<TokenId>(const RequestSpec&)> prompt;  // token ids of a request; required
  std::vector<TokenId> stop_tokens;                   // end a request early; empty in twin runs
  std::function<void(std::size_t finished, std::size_t total)> progress;  // may be empty
  std::function<bool()> cancelled;                    // polled each step; may be empty
  std::optional<AdmissionControl> admission = {};     // as before the run; nothing: all are let in
};

// One replica's serving, which can be left at a time and taken up again: several replicas on virtual clocks advance
// side by side, each given its requests as a router decides. Where it is left changes nothing of what it does.
class ServingLoop {
 public:
  // All are borrowed but `hooks`. `steps_in_flight`: 1 per pipeline stage.
  ServingLoop(Scheduler& scheduler, int steps_in_flight, StepBackend& backend, ServeHooks hooks);

  // In order of arrival. REQUIRES: the replica was not run beyond the request's arrival. One that arrives on completion
  // enters when an earlier one ends or is turned away, each lets one in; the first must not wait for one.
  void add(const RequestSpec& request);
  // Starts all that starts before `until`, or goes on to the end of what was added. What it started has its times at
  // once, also those beyond `until`. A request the scheduler rejects throws Error{kInfeasible} with the scheduler's
  // reason; cancellation throws Error{kCancelled}.
  void run(Seconds until = Seconds{std::numeric_limits<double>::infinity()}) { run(until, false); }
  // The same, but stops when a request has ended.
  void run_to_ending(Seconds until) { run(until, true); }
  // When it could start something; infinity when all that was added has ended.
  [[nodiscard]] Seconds next_start();
  struct Ending {
    std::size_t request = 0;  // in order of add()
    Seconds at{0};
  };
  // Since the last call, in order of ending; without those that were turned away.
  [[nodiscard]] std::vector<Ending> take_endings() { return std::exchange(endings_, {}); }
  // To be called once, last.
  [[nodiscard]] ServeOutcome close();

 private:
  // Which requests the sampled tokens of a step in flight belong to.
  struct InFlight {
    std::vector<RequestId> sampled_for;
  };
  [[nodiscard]] std::optional<Seconds> arrived(Seconds now) const;
  [[nodiscard]] Seconds not_before() const;
  // Whether an ending lets a request in; those that arrive on completion are the last ones.
  [[nodiscard]] bool waits_for_completion() const { return !coming_.empty() && coming_.back().on_completion; }
  void run(Seconds until, bool to_ending);
  [[nodiscard]] bool lets_in(const RequestSpec& request, Seconds arrival);
  void submit_arrivals(Seconds now);
  [[nodiscard]] bool run_plain(Seconds until);
  [[nodiscard]] bool start_step();
  void finish_step();
  void collect();

  Scheduler& scheduler_;
  StepBackend& backend_;
  ServeHooks hooks_;
  std::size_t steps_in_flight_;
  std::deque<RequestSpec> coming_;
  std::deque<Seconds> completions_;  // that no arrival answered yet
  std::deque<Seconds> ended_at_;     // of those that count as unfinished for earlier arrivals
  std::int64_t unfinished_ = 0;      // of those let in, as of the last arrival
  std::unordered_map<RequestId, std::size_t> index_;
  std::deque<InFlight> in_flight_;
  std::vector<Ending> endings_;
  std::vector<Seconds> plain_ends_;
  std::size_t finished_ = 0;
  ServeOutcome outcome_;
};

// Serves all `requests` (sorted by arrival) to the end: a ServingLoop that is never left.
[[nodiscard]] ServeOutcome serve(Scheduler& scheduler, const std::vector<RequestSpec>& requests,
                                 int steps_in_flight, StepBackend& backend, const ServeHooks& hooks);

}  // namespace lindos::scheduler
