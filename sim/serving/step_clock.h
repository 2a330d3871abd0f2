// SPDX-License-Identifier: Apache-2.0
// The virtual clock that a foreign engine's steps advance: kernels priced by a ReplicaModel, host time by its
// EngineClass. Drives the shared scheduler; keeps no books, so that thousands of points are priced in minutes.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>

#include "exec/scheduler/driver.h"
#include "sim/replica_model.h"
#include "sim/serving/engine_class.h"

namespace lindos::sim {

// What of a step the replica does itself: a decode replica takes over prompts whose cache comes from elsewhere.
enum class PromptWork { kOwn, kElsewhere };

class StepClock final : public scheduler::StepBackend {
 public:
  // REQUIRES: a replica of one stage. All are borrowed.
  StepClock(ReplicaModel& replica, const EngineClass& engine, std::int64_t layers, PromptWork prompts)
      : replica_(replica), engine_(engine), layers_(static_cast<double>(layers)), prompts_(prompts) {}

  Seconds now() override { return clock_; }
  void start(const scheduler::Step& step) override;
  scheduler::StepResult wait() override;
  void idle_until(Seconds t) override { clock_ = std::max(clock_, t); }

 private:
  [[nodiscard]] Batch priced_batch(const scheduler::Step& step) const;

  ReplicaModel& replica_;
  const EngineClass& engine_;
  double layers_;
  PromptWork prompts_;
  Seconds clock_{0};
  std::deque<scheduler::StepResult> done_;
};

}  // namespace lindos::sim
