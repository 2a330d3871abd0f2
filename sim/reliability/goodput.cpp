// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/goodput.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"

namespace lindos::sim {

TimeShares closed_shares(const RenewalCycle& cycle) {
  LINDOS_ASSERT(cycle.interval > Seconds{0}, "a job that never trains has no goodput");
  const double kept = cycle.interval.count();
  const double length = kept + cycle.blocking.count();
  TimeShares shares;
  if (std::isinf(cycle.mtbi.count())) {
    shares.productive = kept / length;
    shares.checkpoint_io = cycle.blocking.count() / length;
    return shares;
  }
  // In units of M. Failures strike at rate 1 while the job trains or saves: e^w (e^(τ+δ) − 1) per kept interval,
  // which is that time too. Each is followed by restarts until one is not interrupted, e^R − 1 in all. Written
  // with e^−R and e^−w, since e^R overflows for a fleet that hardly ever finishes a restart.
  const double mtbi = cycle.mtbi.count();
  const double unbroken = std::exp(-cycle.restart.count() / mtbi);
  const double kept_per_time =
      unbroken * std::exp(-cycle.commit_delay.count() / mtbi) / std::expm1(length / mtbi) / mtbi;
  shares.productive = kept * kept_per_time;
  shares.checkpoint_io = cycle.blocking.count() * kept_per_time;
  shares.lost_work = std::max(0.0, unbroken - length * kept_per_time);
  shares.restart = 1.0 - unbroken;
  return shares;
}

Seconds swept_interval(const RenewalCycle& cycle) {
  LINDOS_ASSERT(cycle.mtbi.count() > 0.0 && std::isfinite(cycle.mtbi.count()), "nothing fails");
  LINDOS_ASSERT(cycle.blocking.count() > 0.0, "free saves are best taken all the time");
  constexpr double kGolden = 0.6180339887498949;  // (sqrt 5 − 1) / 2
  const auto productive = [&](double interval) {
    RenewalCycle candidate = cycle;
    candidate.interval = Seconds(interval);
    return closed_shares(candidate).productive;
  };
  // One maximum: d/dτ = 0 where 1 − τ/M = e^(−(τ + δ)/M), which has one root, between 0 and M.
  double low = 0.0;
  double high = cycle.mtbi.count();
  double left = high - kGolden * (high - low);
  double right = low + kGolden * (high - low);
  double at_left = productive(left);
  double at_right = productive(right);
  while (high - low > 1e-7 * high) {
    if (at_left < at_right) {
      low = left;
      left = right;
      at_left = at_right;
      right = low + kGolden * (high - low);
      at_right = productive(right);
    } else {
      high = right;
      right = left;
      at_right = at_left;
      left = high - kGolden * (high - low);
      at_left = productive(left);
    }
  }
  return Seconds(0.5 * (low + high));
}

}  // namespace lindos::sim
