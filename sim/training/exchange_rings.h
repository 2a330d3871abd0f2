// SPDX-License-Identifier: Apache-2.0
// The gradient exchange as flows between nodes. Ranks that hold the same weights form a ring in
// physical order; in the steady state of a ring's reduce-scatter and all-gather each rank sends (n
// − 1)/n of the buffer once and once more to its neighbour, so one flow per node stands for all
// steps, and what the priced time holds beyond these bytes is start-up. Hierarchical: a ring inside
// each array, rings between the arrays over the part that each member holds, a ring inside again.
// Plain values; no SimGrid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios/units.h"
#include "sim/training/placement.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

struct ExchangeFlow {
  std::int64_t from = 0;  // nodes, never of one scale-up domain
  std::int64_t to = 0;
  Bytes bytes{0};
  BytesPerSecond rate{0};  // of the members' own NICs, a slow one considered
};

struct ExchangePhase {
  Seconds start_up{0};
  std::vector<ExchangeFlow> flows;  // all start when start_up has passed
  Seconds alone{0};  // until the last flow ends, when no other messages are under way
};

struct ExchangeRing {
  std::vector<ExchangePhase> hidden;   // begin `window` before the last member has ended its passes
  std::vector<ExchangePhase> exposed;  // begin when it has
  Seconds window{0};
};

// Ring k joins the stages k of all replicas; groups of different depth make one ring of everything,
// stages joined by the share of the model that they have in common (step_tail's rule).
[[nodiscard]] std::vector<ExchangeRing> exchange_rings(const TrainingJob& job,
                                                       const Placement& placement,
                                                       const StepDraw& draw);

// What the first `window` seconds of phases that run one after the other hold, and the rest.
[[nodiscard]] ExchangeRing split_at(const std::vector<ExchangePhase>& phases, Seconds window);

// Number of rings, and the ring that a stage belongs to.
[[nodiscard]] std::size_t ring_count(const TrainingJob& job);
[[nodiscard]] inline std::size_t ring_of(std::size_t stage, std::size_t rings) {
  return rings == 1 ? 0 : stage;
}

}  // namespace lindos::sim
