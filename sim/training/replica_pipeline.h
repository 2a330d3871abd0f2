// SPDX-License-Identifier: Apache-2.0
// One replica's pipeline as a max-plus recursion: a pass starts when its stage is free and its input has
// arrived. The order of evaluation is found once per shape, so that thousands of replicas that differ only
// in speed cost two maxima and an add per pass. Immutable; safe to share between threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios/units.h"
#include "sim/training/pipeline_schedule.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// One pass as the recursion times it, in seconds since the start of the step.
struct TimedPass {
  std::size_t stage = 0;
  Pass pass;
  double start = 0.0, end = 0.0;
  std::int32_t input = -1;  // index among the passes of the one whose output it takes; −1: the data loader
  double arrived = 0.0;     // when that output had arrived
};

enum class Messages { kPriced, kFree };  // free: what the pipeline would take if sending cost nothing

class ReplicaPipeline {
 public:
  // REQUIRES: every stage of the group has group.virtual_stages chunks.
  explicit ReplicaPipeline(const GroupJob& group, Messages messages = Messages::kPriced);

  // When each stage has ended its last pass, in seconds since the start of the step. `factors`: one per
  // stage, stretching compute; nullptr = nominal. `ends` has room for one value per stage.
  void run(const float* factors, double* ends) const;
  // Every pass, each after what it depends on; `factors` as for run().
  [[nodiscard]] std::vector<TimedPass> passes(const float* factors) const;
  // The last of the ends at nominal speed.
  [[nodiscard]] Seconds nominal_end() const;
  [[nodiscard]] std::size_t stages() const { return compute_.size() / slots_; }

 private:
  // run(), and the end of each pass in `order_`: borrowed from the thread, until its next call.
  const std::vector<double>& solve(const float* factors, double* ends) const;

  struct Step {
    std::uint32_t stage;
    std::uint32_t slot;        // chunk × 2 + backward: which duration
    std::int32_t input;        // index of the pass that it waits for, −1 = none
    double hop;                // seconds between that pass's end and the arrival of its output
  };
  std::vector<Step> order_;    // every pass after what it depends on
  std::size_t slots_ = 2;
  std::vector<double> compute_, fixed_;  // [stage × slots + slot]: stretched by the factor, and not
};

}  // namespace lindos::sim
