// SPDX-License-Identifier: Apache-2.0
// What a simulated serving run of one replica leaves behind, and the books that it fills on the
// way. Both event rungs (max-plus, SimGrid) keep the same books, so that they differ in time only.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "exec/scheduler/driver.h"
#include "exec/scheduler/limits.h"
#include "exec/scheduler/request.h"
#include "scenarios/ledger.h"
#include "scenarios/timeline.h"
#include "scenarios/workload.h"
#include "sim/power_series.h"
#include "sim/replica_model.h"
#include "sim/stage_work.h"
#include "sim/step_totals.h"
#include "sim/uniform_books.h"

namespace lindos::sim {

struct ServingRun {
  std::vector<RequestTimeline> timelines;
  Ledger ledger;  // closed: Σ = Σ peaks × end
  WorkTotals totals;
  std::vector<Seconds> step_times;  // from start on the first stage to leaving the last
  Seconds end{0};                   // since the run began
  // With prefix reuse: tokens of the prompts, and of these those that an earlier prompt left behind.
  std::int64_t prefix_query_tokens = 0;
  std::int64_t prefix_hit_tokens = 0;
  std::int64_t host_hit_tokens = 0;  // of these, those that lay in host memory
  PowerSeries power;  // of all its steps, on an event rung; empty where power is not known
  void count_prefixes(const scheduler::Snapshot& last) {
    prefix_query_tokens = last.prefix_query_tokens;
    prefix_hit_tokens = last.prefix_hit_tokens;
    host_hit_tokens = last.host_hit_tokens;
  }
};

// One step on its way through the stages.
struct StepPlan {
  Batch batch;
  int steps_under_way = 1;
  std::int64_t copies = 0;  // KV blocks that move from or to host memory first
};

// What the driver knows of the steps in the pipe. A step without sampled tokens (a prompt's middle chunk)
// sends nothing back: the driver is free to plan on as soon as the first stage is done with it, and takes it
// to be under way until a later step returns. Both rungs and the engine's driver share this rule.
class Pipe {
 public:
  // The step that starts now; returns the steps under way, this one included.
  [[nodiscard]] int enter(bool samples);
  // The oldest step not yet waited for; returns whether it sends a result back.
  [[nodiscard]] bool leave();

 private:
  std::deque<bool> waited_for_;   // started, not waited for: does it sample?
  int unseen_ = 0;                // waited for without a result, not known to have left
};

// Gives the duration of each part of a step, books it at the same time and closes the run.
class ServingBooks {
 public:
  // Both are borrowed.
  ServingBooks(ReplicaModel& replica, const Draw& draw);

  // Every step asks once per stage, which it enters at `at`.
  [[nodiscard]] Seconds overhead();
  [[nodiscard]] Seconds compute(const StepPlan& step, std::size_t stage, Seconds at);
  // The same by totals. REQUIRES: the stage is uniform.
  [[nodiscard]] Seconds compute(const StepTotals& totals, int steps_under_way, std::size_t stage, Seconds at) {
    const Seconds span = uniform_[stage]->step(totals, steps_under_way);
    spend(stage, at, span, uniform_[stage]->added());
    return span;
  }
  // To the next stage, or sampled ids from the last to the first; zero when there is one stage.
  // Start-up and transfer of an unshared link; a rung that shares links sends send_bytes and books
  // what it took.
  [[nodiscard]] Seconds send_start(std::size_t stage);
  [[nodiscard]] Seconds send_transfer(const StepPlan& step, std::size_t stage);
  [[nodiscard]] Bytes send_bytes(const StepPlan& step, std::size_t stage);
  void book_transfer(Seconds span, std::size_t stage);
  void idle(Seconds span) { idle_ += span; }
  void step_done(Seconds took) { step_times_.push_back(took); }

  // Closes the ledger at `end`: what no stage booked is lack of work while the replica was idle,
  // else the pipeline's bubble.
  [[nodiscard]] ServingRun close(Seconds end);

 private:
  void spend(std::size_t stage, Seconds at, Seconds span, Joules added) {
    if (replica_.power()) power_.add(at, span, added, static_cast<double>(replica_.ranks(stage).size()));
  }
  [[nodiscard]] Seconds copying(std::int64_t blocks, std::size_t stage) const;
  void book_on_stage(Cause cause, Seconds span, std::size_t stage);
  [[nodiscard]] double message_factor(std::size_t stage) const;

  ReplicaModel& replica_;
  const Draw& draw_;
  std::vector<Ledger> stages_ = std::vector<Ledger>(replica_.stages());
  std::vector<std::optional<UniformBooks>> uniform_;  // [stage]; nothing for stages that are not
  double overheads_ = 0.0;                            // counted, booked in close()
  WorkTotals totals_;
  std::vector<Seconds> step_times_;
  Seconds idle_{0};
  PowerSeries power_;
};

// What copies of KV blocks add to a step that computes for `computing`: the engine copies layer after layer beside it, and a
// layer waits for its own. With equal layers the first one's copies are seen, and what is longer than the layers before
// the last: max(c / L, c − t·(L − 1) / L). One layer: all of it.
[[nodiscard]] Seconds exposed_copy(Seconds copying, Seconds computing, std::int64_t layers);

// Prompts of zeros, as many tokens as asked, where the scheduler sees lengths only; with prefix reuse virtual_prompt.
[[nodiscard]] scheduler::ServeHooks virtual_hooks(bool prefix_reuse);
// As many zeros as the step samples.
[[nodiscard]] scheduler::StepResult virtual_result(const scheduler::Step& step);

}  // namespace lindos::sim
