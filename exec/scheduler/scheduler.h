// SPDX-License-Identifier: Apache-2.0
// Continuous batching with chunked prefill over paged KV, as a pure state machine: no clock, I/O, thread,
// device or random source. The engine drives it with a real clock, sim with a virtual one. The same calls
// give the same steps on every platform.
//
//   driver ── submit/cancel ──▶ Scheduler ── plan() ──▶ Step ── run or price it ──▶ complete(StepResult)
//
// A request in flight (planned, not completed) is not planned again; with lookahead L up to L + 1 steps of
// disjoint requests may be in flight (pipeline stages).
//
// Requests rank by priority, then arrival. A running request that lacks a KV block preempts the last ranked
// one that is not in flight, but only one that ranks after itself; if there is none it sits this step out and
// keeps its blocks. So the first ranked is never preempted and always gets on, which rules out livelock.
//
// With prefix reuse a request that enters begins after the full blocks that the prefix index holds of it; its last
// token is always computed. The blocks of a prompt become shareable when the step that computed them completes, those
// of an output when the request ends or is preempted: before that nobody can ask for them. With host memory, blocks that
// nobody owns go there when others need theirs, and come back when a prompt begins with them: also those of a request that
// was preempted.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "exec/scheduler/limits.h"
#include "exec/scheduler/request.h"

namespace lindos::scheduler {

struct Snapshot {
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t in_flight_steps = 0;
  std::int64_t blocks_used = 0;      // of at least one request
  std::int64_t blocks_cached = 0;    // of none, kept for the next prompt that begins so; allocatable as free ones are
  std::int64_t blocks_free = 0;
  std::int64_t blocks_total = 0;
  std::int64_t blocks_on_host = 0;   // in host memory, beside those
  std::int64_t preemptions = 0;      // since construction
  std::int64_t scheduled_tokens = 0; // since construction, recomputed ones counted again
  // With prefix reuse, since construction: of the prompts that entered for the first time, and of these the tokens that
  // were not computed.
  std::int64_t prefix_query_tokens = 0;
  std::int64_t prefix_hit_tokens = 0;
  std::int64_t host_hit_tokens = 0;  // of the hits, those that lay in host memory
};

class Scheduler {
 public:
  // Throws Error{kInput} on limits under which nothing could ever run.
  Scheduler(const Limits& limits, Policy policy);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // Rejects what could never run alone (blocks), an empty prompt, fewer than one new token, the id of a
  // request that has not ended, a full queue.
  [[nodiscard]] Admission submit(const Request& request);
  // Frees the request wherever it is; if it is in flight, when its step completes. Unknown ids are ignored.
  void cancel(RequestId id);
  // The next step; empty when nothing can run now (nothing to do, or all in flight).
  [[nodiscard]] Step plan();
  // Must be called once per non-empty step, in order. Throws Error{kEnvironment} on a result that does not
  // belong to the oldest step in flight.
  void complete(const StepResult& result);
  // How far the next steps are plain; what plan() and complete() would give for them is known without calling either.
  // 0 while a step is in flight or with lookahead, and where sampled tokens decide (stop tokens).
  [[nodiscard]] PlainDecodes plain_decodes();
  // The same as planning and completing the next `steps` steps, each sampling token 0 for every request. REQUIRES:
  // 1 <= steps <= plain_decodes().steps.
  void advance(std::int64_t steps);
  // Requests that ended since the last call, in order of ending.
  [[nodiscard]] std::vector<Finished> take_finished();
  [[nodiscard]] Snapshot snapshot() const;
  [[nodiscard]] bool idle() const;   // nothing waiting, running or in flight

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace lindos::scheduler
