// SPDX-License-Identifier: Apache-2.0
// One replica's pipeline as a max-plus recursion: a pass starts when its stage is free and its input has
// arrived. The order of evaluation is found once per shape, so that thousands of replicas that differ only
// in speed cost two maxima and an add per pass. Immutable; safe to share between threads.
#pragma once

#include <cstdint>
#include <vector>

#include "scenarios/units.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

enum class Messages { kPriced, kFree };  // free: what the pipeline would take if sending cost nothing

class ReplicaPipeline {
 public:
  // REQUIRES: every stage of the group has group.virtual_stages chunks.
  explicit ReplicaPipeline(const GroupJob& group, Messages messages = Messages::kPriced);

  // When each stage has ended its last pass, in seconds since the start of the step. `factors`: one per
  // stage, stretching compute; nullptr = nominal. `ends` has room for one value per stage.
  void run(const float* factors, double* ends) const;
  // The last of the ends at nominal speed.
  [[nodiscard]] Seconds nominal_end() const;
  [[nodiscard]] std::size_t stages() const { return compute_.size() / slots_; }

 private:
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
