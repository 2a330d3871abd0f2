// SPDX-License-Identifier: Apache-2.0
// Time as a function of bytes through measured points: piecewise linear for byte-bound ops, log-log
// for collectives (modelling handbook §2.1). Immutable once built.
#pragma once

#include <vector>

#include "scenarios/units.h"
#include "sim/operator_cost.h"

namespace lindos::sim {

struct CurvePoint {
  Bytes bytes{0};
  Seconds time{0};
  double spread = 0.0;
};

struct CurveTime {
  Seconds time{0};
  double spread = 0.0;
  Tier tier = Tier::kInterpolated;
};

class ByteCurve {
 public:
  // REQUIRES: at least one point, bytes and times > 0.
  explicit ByteCurve(std::vector<CurvePoint> points);
  // Linear between points; below the first towards the intercept of the first segment (at least 0);
  // above the last at the rate of the last point.
  [[nodiscard]] CurveTime linear(Bytes bytes) const;
  // log(time) over log(bytes); below the first its time (a floor), above the last its bandwidth.
  [[nodiscard]] CurveTime log_log(Bytes bytes) const;

 private:
  std::vector<CurvePoint> points_;  // ascending in bytes
};

}  // namespace lindos::sim
