// SPDX-License-Identifier: Apache-2.0
// Split-conformal widening of intervals (Lei et al., JASA 2018; modelling handbook §9): how far
// measured medians lay outside the predicted bands, in units of the band, tells how much wider
// bands must be to hold what they promise. The medians stay: this mends what a prediction says of
// its own doubt, not the prediction.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/run_record.h"

namespace lindos::sim {

struct CalibrationPair {
  RunRecord predicted;
  RunRecord measured;  // of the same scenario and plan
};

struct MetricCalibration {
  std::string metric;
  std::int64_t points = 0;      // pairs that have it
  double covered_before = 0.0;  // share of measured medians inside the predicted [p10, p90]
  double covered_held_out =
      0.0;              // the same after widening by what the other half of the pairs asks for
  double factor = 1.0;  // from all pairs; >= 1: intervals are never narrowed
};

// Fewest pairs of a metric: two halves, of which each can state an 80 % quantile.
inline constexpr std::int64_t kFewestPairs = 8;

// Metrics with enough pairs, in the order of the registry. Halves are by the digest of scenario and
// plan, so that pairs of one workload stay together and an added pair moves no other. REQUIRES:
// predictions that no factor has widened.
[[nodiscard]] std::vector<MetricCalibration> calibrate_intervals(
    const std::vector<CalibrationPair>& pairs);

// Smallest factor under which at least `coverage` of like scores can be expected to lie: the
// ceil((n + 1) coverage)-th smallest, or the largest where there are too few. REQUIRES: scores not
// empty.
[[nodiscard]] double conformal_factor(std::vector<double> scores, double coverage);

// Stretches the bands of the record's metrics, on a logarithmic scale, by the largest factor of the
// profiles.
void widen_intervals(RunRecord& record, const std::vector<const Profile*>& profiles);

}  // namespace lindos::sim
