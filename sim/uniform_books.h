// SPDX-License-Identifier: Apache-2.0
// Times and books of one run on a uniform stage (ReplicaModel::uniform): as compute_time and book of stage_work.h, but
// for all ranks at once and without listing ops. All of a step but its attention depends on how many tokens it has and how
// many of them want logits; both parts are priced once for each number and counted; attention is priced step by step.
// Agrees with op by op to rounding (tested).
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "scenarios/ledger.h"
#include "sim/replica_model.h"
#include "sim/stage_work.h"
#include "sim/step_totals.h"

namespace lindos::sim {

class UniformBooks {
 public:
  // All are borrowed.
  UniformBooks(const ReplicaModel& replica, const Draw& draw, std::size_t stage);

  // Books such a step; from its start on this stage until its output is ready to be sent.
  [[nodiscard]] Seconds step(const StepTotals& totals, int steps_under_way);
  // What that step adds to idle power × time, all ranks; 0 where power is not known.
  [[nodiscard]] Joules added() const { return added_; }
  // Adds all that was booked; the books are empty then.
  void close(Ledger& ledger, WorkTotals& totals);

 private:
  struct BodyKey {
    std::int64_t tokens = 0;
    int steps = 1;
    bool decodes = true;
    bool operator==(const BodyKey&) const = default;
  };
  struct HeadKey {
    std::int64_t rows = 0;
    int steps = 1;
    double sigma = 0.0;  // of the step: the draw moves the head by it, too
    bool operator==(const HeadKey&) const = default;
  };
  struct KeyHash {
    std::size_t operator()(const BodyKey& key) const;
    std::size_t operator()(const HeadKey& key) const;
  };
  // Time of ops that keep their pace down to this relative clock (clock_bound).
  struct Bound {
    double clock = 0.0;
    Seconds time{0};
  };
  // One of the two parts of a step under the draw.
  struct Part {
    Seconds time{0};
    Ledger ledger;
    WorkTotals totals;
    std::vector<PowerWork> works;  // [rank]; one for all where they are equal
    std::vector<std::vector<Bound>> bounds;  // under a cap: [rank], as works; each ascending, no two alike
    std::vector<Bound> gating;               // of the slowest rank of each segment
    double sigma = 0.0;
    double in_place = 1.0;
    double prefill_factor = 1.0, decode_factor = 1.0;  // of the draw
    double steps = 0.0;  // counted
  };
  [[nodiscard]] Part& body_of(const BodyKey& key);
  [[nodiscard]] Part& head_of(const HeadKey& key);
  [[nodiscard]] Part part_of(const StageWork& work) const;
  void find_bounds(const StageWork& work, Part& part) const;
  [[nodiscard]] Bound bound_of(const PricedOp& op, double sigma) const;
  // Books what this clock adds to the step with these parts and attention_. Takes the slowest rank of a segment to stay so.
  [[nodiscard]] Seconds slow_down(const Part& body, const Part& head, double clock);
  [[nodiscard]] static Seconds lost_at(const std::vector<Bound>& bounds, double clock);
  void count_up();

  const ReplicaModel& replica_;
  const Draw& draw_;
  std::size_t stage_;
  double ranks_;
  RankCeiling ceiling_;                // of one rank
  std::unordered_map<BodyKey, Part, KeyHash> bodies_;
  std::unordered_map<HeadKey, Part, KeyHash> heads_;
  BodyKey last_key_;
  Part* last_ = nullptr;               // body of last_key_
  std::vector<PricedOp> attention_;
  std::vector<Bound> attention_bounds_;
  std::vector<Joules> wanted_;  // [rank], as works
  Joules added_{0};
  Ledger ledger_;
  WorkTotals totals_;
};

}  // namespace lindos::sim
