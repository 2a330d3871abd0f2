// SPDX-License-Identifier: Apache-2.0
// The max-plus rung of serving: a step enters stage s at max(stage free, batch arrived), occupies
// it for its compute and its send, and leaves the last stage with the sampled ids. Links are never
// shared. Microseconds per step; the rung that Monte Carlo runs.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "exec/scheduler/driver.h"
#include "exec/scheduler/limits.h"
#include "exec/scheduler/request.h"
#include "scenarios/workload.h"
#include "sim/replica_model.h"
#include "sim/serving_run.h"

namespace lindos::sim {

// Is told of every step as the recursion times it.
class ServingWatch {
 public:
  virtual ~ServingWatch() = default;
  virtual void step_started(const scheduler::Step& step, Seconds at) = 0;
  // The step that started last: on a stage it computes from `begin` to `computed`, and has sent at `sent`.
  virtual void stage_done(std::size_t stage, Seconds begin, Seconds computed, Seconds sent) = 0;
};

// One replica that is served piece by piece: its requests are added as a router decides (ServingLoop has the rules).
class MaxplusReplica {
 public:
  // All are borrowed; `cancelled` and `watch` may be empty. Several replicas may share a model, not at the same time.
  // With a watch every step is planned by itself; the times are the same.
  MaxplusReplica(ReplicaModel& replica, const scheduler::Limits& limits, const Draw& draw,
                 const std::function<bool()>& cancelled = {}, ServingWatch* watch = nullptr);
  ~MaxplusReplica();
  MaxplusReplica(MaxplusReplica&&) noexcept;

  [[nodiscard]] scheduler::ServingLoop& loop();
  // To be called once, when all that was added has ended.
  [[nodiscard]] ServingRun close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Serves `requests` (sorted by arrival) to the end on a virtual clock that starts at 0. Throws
// Error{kInfeasible} for a request that can never run, Error{kCancelled} when `cancelled` says so.
[[nodiscard]] ServingRun serve_maxplus(ReplicaModel& replica, const scheduler::Limits& limits,
                                       const std::vector<RequestSpec>& requests, const Draw& draw,
                                       const std::function<bool()>& cancelled = {},
                                       ServingWatch* watch = nullptr);

}  // namespace lindos::sim
