// SPDX-License-Identifier: Apache-2.0
#include "sim/composition.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <utility>

namespace lindos::sim {

namespace {

// The median of n rounds has a variance of pi/2n of a round's; the probe takes seven (exec/probe). A run
// deviates by a round's spread, its prediction by that of the median.
constexpr double kRounds = 7.0;
const double kRunAndMedian = std::sqrt(1.0 + std::numbers::pi / (2.0 * kRounds));

double log_share(double low, double at, double high) {
  return std::log(at / low) / std::log(high / low);
}

// Root mean square of log(ratio) at each inner point against the line between its neighbours. That line
// spans two intervals; between samples it spans one, and a smooth curve leaves a line by the square of the
// span, so a quarter of it is the error there.
double interpolation_error(const std::vector<CompositionPoint>& points) {
  if (points.size() < 3) return 0.0;
  double sum = 0.0;
  for (std::size_t i = 1; i + 1 < points.size(); ++i) {
    const CompositionPoint& a = points[i - 1];
    const CompositionPoint& b = points[i + 1];
    const double share = log_share(a.tokens, points[i].tokens, b.tokens);
    const double line = (1.0 - share) * std::log(a.ratio) + share * std::log(b.ratio);
    sum += std::pow(std::log(points[i].ratio) - line, 2);
  }
  return std::sqrt(sum / static_cast<double>(points.size() - 2)) / 4.0;
}

}  // namespace

Composition::Composition(std::vector<CompositionPoint> points, double unseen) : points_(std::move(points)), unseen_(unseen) {
  std::sort(points_.begin(), points_.end(),
            [](const CompositionPoint& a, const CompositionPoint& b) { return a.tokens < b.tokens; });
  std::vector<CompositionPoint> merged;
  for (std::size_t i = 0; i < points_.size();) {
    CompositionPoint point = points_[i];
    double logs = 0.0;
    double squares = 0.0;
    double count = 0.0;
    for (; i < points_.size() && points_[i].tokens == point.tokens; ++i, ++count) {
      const double log = std::log(points_[i].ratio);
      logs += log;
      squares += log * log;
      point.spread = std::max(point.spread, points_[i].spread);
    }
    const double mean = logs / count;
    point.ratio = std::exp(mean);
    point.apart = count > 1.0 ? std::sqrt(std::max(0.0, squares - count * mean * mean) / (count - 1.0)) : 0.0;
    merged.push_back(point);
  }
  points_ = std::move(merged);
  interpolation_ = interpolation_error(points_);
}

Composition::Between Composition::between(double tokens) const {
  const auto after = std::find_if(points_.begin(), points_.end(),
                                  [&](const CompositionPoint& p) { return p.tokens >= tokens; });
  if (after == points_.begin()) return {0, 0.0};
  const auto low = static_cast<std::size_t>(after - points_.begin()) - 1;
  if (after == points_.end()) return {low, 0.0};
  return {low, log_share(points_[low].tokens, tokens, after->tokens)};
}

double Composition::factor(double tokens) const {
  if (!measured()) return 1.0;
  const Between at = between(tokens);
  const double low = std::log(points_[at.low].ratio);
  if (at.share == 0.0) return points_[at.low].ratio;
  return std::exp(low + at.share * (std::log(points_[at.low + 1].ratio) - low));
}

double Composition::sigma(double tokens) const {
  if (!measured()) return 0.0;
  const Between at = between(tokens);
  double spread = points_[at.low].spread;
  double apart = points_[at.low].apart;
  if (at.share > 0.0) {
    spread += at.share * (points_[at.low + 1].spread - spread);
    apart += at.share * (points_[at.low + 1].apart - apart);
  }
  return std::hypot(std::hypot(spread * kRunAndMedian, apart, interpolation_), unseen_);
}

}  // namespace lindos::sim
