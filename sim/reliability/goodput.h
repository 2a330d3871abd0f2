// SPDX-License-Identifier: Apache-2.0
// Where the wall time of a job goes that saves every `interval`, is interrupted by a Poisson
// process and always finds nodes to go on with: the exact renewal form. Failures also strike during
// restarts.
//
//   productive = τ / (M e^((R + w)/M) (e^((τ + δ)/M) − 1))      Daly 2006, there with w = 0
//
// τ interval, δ blocking, w commit_delay, R restart, M mtbi. With w > 0 (asynchronous saves) a
// failure within w of a save falls back to the one before; docs/reliability.md derives that this
// acts like a restart longer by w.
#pragma once

#include "scenarios/units.h"

namespace lindos::sim {

// Shares of wall time; they sum to 1.
struct TimeShares {
  double productive = 0.0;     // training that is kept: the effective training time ratio
  double checkpoint_io = 0.0;  // standing still for a save that is kept
  double lost_work = 0.0;      // from the restored checkpoint on to the failure
  double restart = 0.0;        // from the failure on until training goes on
  double waiting = 0.0;        // for a spare or a repair; replicas that are missing wait too
  [[nodiscard]] double total() const {
    return productive + checkpoint_io + lost_work + restart + waiting;
  }
  bool operator==(const TimeShares&) const = default;
};

struct RenewalCycle {
  Seconds interval{0};  // > 0
  Seconds blocking{0};
  Seconds commit_delay{0};
  Seconds restart{0};  // detection to warm-up
  Seconds mtbi{0};     // mean time between interruptions; infinite when nothing fails
};

[[nodiscard]] TimeShares closed_shares(const RenewalCycle& cycle);

// The interval that maximises the productive share, by golden-section search on the exact form;
// `interval` of the argument is not read. It depends on δ and M alone and is below M. REQUIRES:
// finite mtbi > 0, blocking > 0.
[[nodiscard]] Seconds swept_interval(const RenewalCycle& cycle);

}  // namespace lindos::sim
