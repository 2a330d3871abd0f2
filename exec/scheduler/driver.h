// SPDX-License-Identifier: Apache-2.0
// The serving loop, written once: submits arrivals, plans, starts steps, collects results. The engine gives
// it a backend on the real clock, sim one on a virtual clock (max-plus recursion or SimGrid actor).
// The driver runs on rank 0 of stage 0, so start() returns when that stage is free again.
#pragma once

#include <functional>
#include <vector>

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
  std::vector<RequestTimeline> timelines;             // in order of RequestSpec
  std::vector<std::vector<TokenId>> outputs;          // the same order
  Snapshot final_snapshot;
};

struct ServeHooks {
  std::function<std::vector<TokenId>(const RequestSpec&)> prompt;  // token ids of a request; required
  std::vector<TokenId> stop_tokens;                   // end a request early; empty in twin runs
  std::function<void(std::size_t finished, std::size_t total)> progress;  // may be empty
  std::function<bool()> cancelled;                    // polled each step; may be empty
};

// Serves all `requests` (sorted by arrival) to the end. One that arrives on completion enters when an earlier one
// ends, each ending lets one in; the first must not wait for one. A request the scheduler rejects throws
// Error{kInfeasible} with the scheduler's reason; cancellation throws Error{kCancelled}.
[[nodiscard]] ServeOutcome serve(Scheduler& scheduler, const std::vector<RequestSpec>& requests,
                                 int steps_in_flight, StepBackend& backend, const ServeHooks& hooks);

}  // namespace lindos::scheduler
