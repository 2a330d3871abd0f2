// SPDX-License-Identifier: Apache-2.0
#include "sim/byte_curve.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

bool smaller(const CurvePoint& p, Bytes bytes) { return p.bytes < bytes; }

}  // namespace

ByteCurve::ByteCurve(std::vector<CurvePoint> points) : points_(std::move(points)) {
  LINDOS_ASSERT(!points_.empty(), "a curve needs a point");
  std::sort(points_.begin(), points_.end(),
            [](const CurvePoint& a, const CurvePoint& b) { return a.bytes < b.bytes; });
}

CurveTime ByteCurve::linear(Bytes bytes) const {
  const auto above = std::lower_bound(points_.begin(), points_.end(), bytes, smaller);
  if (above == points_.end()) {
    const CurvePoint& last = points_.back();
    return {last.time * (bytes / last.bytes), last.spread, Tier::kEdge};
  }
  if (above->bytes == bytes) return {above->time, above->spread, Tier::kMeasured};
  if (above == points_.begin()) {
    const CurvePoint& first = points_.front();
    Seconds at_zero{0};
    if (points_.size() > 1 && points_[1].bytes > first.bytes) {
      const Seconds rise =
          (points_[1].time - first.time) * (first.bytes / (points_[1].bytes - first.bytes));
      at_zero = std::clamp(first.time - rise, Seconds(0), first.time);
    }
    return {at_zero + (first.time - at_zero) * (bytes / first.bytes), first.spread, Tier::kEdge};
  }
  const CurvePoint& low = *(above - 1);
  const double share = (bytes - low.bytes) / (above->bytes - low.bytes);
  return {low.time + share * (above->time - low.time), std::max(low.spread, above->spread),
          Tier::kInterpolated};
}

CurveTime ByteCurve::log_log(Bytes bytes) const {
  const auto above = std::lower_bound(points_.begin(), points_.end(), bytes, smaller);
  if (above == points_.end()) {
    const CurvePoint& last = points_.back();
    return {last.time * (bytes / last.bytes), last.spread, Tier::kEdge};
  }
  if (above->bytes == bytes) return {above->time, above->spread, Tier::kMeasured};
  if (above == points_.begin()) return {points_.front().time, points_.front().spread, Tier::kEdge};
  const CurvePoint& low = *(above - 1);
  const double share = std::log(bytes / low.bytes) / std::log(above->bytes / low.bytes);
  return {low.time * std::pow(above->time / low.time, share), std::max(low.spread, above->spread),
          Tier::kInterpolated};
}

}  // namespace lindos::sim
