// SPDX-License-Identifier: Apache-2.0
#include "sim/interval_calibration.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "scenarios/error.h"
#include "scenarios/metrics.h"

namespace lindos::sim {

namespace {

constexpr double kCoverage = 0.8;     // of [p10, p90]
constexpr double kExactWidth = 0.02;  // of a band without spread: what `compare` allows it

// Half a band on a logarithmic scale.
double width(double from, double to) {
  const double w = std::log(to / from);
  return w > 0.0 ? w : std::log1p(kExactWidth);
}

struct Point {
  double score = 0.0;  // 1 = on the edge of the band
  bool first_half = false;
};

bool scorable(const MetricValue& predicted, double truth) {
  return predicted.p10 > 0.0 && truth > 0.0;
}

double score(const MetricValue& predicted, double truth) {
  return truth >= predicted.p50
             ? std::log(truth / predicted.p50) / width(predicted.p50, predicted.p90)
             : std::log(predicted.p50 / truth) / width(predicted.p10, predicted.p50);
}

// By the last digit of the digests, which are hexadecimal and as good as drawn by lot.
bool in_first_half(const RunRecord& record) {
  const auto digit = [](const std::string& digest) {
    return digest.empty() ? 0 : static_cast<int>(digest.back());
  };
  return (digit(record.scenario_digest) + digit(record.plan_digest)) % 2 == 0;
}

std::vector<double> scores_of(const std::vector<Point>& points, bool first_half) {
  std::vector<double> out;
  for (const Point& point : points) {
    if (point.first_half == first_half) out.push_back(point.score);
  }
  return out;
}

// Each half by the factor of the other.
double covered_held_out(const std::vector<Point>& points) {
  std::int64_t inside = 0;
  for (const bool half : {false, true}) {
    const std::vector<double> other = scores_of(points, !half);
    const double factor = other.empty() ? 1.0 : std::max(1.0, conformal_factor(other, kCoverage));
    for (const double s : scores_of(points, half)) inside += s <= factor ? 1 : 0;
  }
  return static_cast<double>(inside) / static_cast<double>(points.size());
}

MetricCalibration calibrate(const std::string& metric, const std::vector<Point>& points) {
  MetricCalibration out;
  out.metric = metric;
  out.points = static_cast<std::int64_t>(points.size());
  std::vector<double> all;
  for (const Point& point : points) all.push_back(point.score);
  out.covered_before = static_cast<double>(std::count_if(all.begin(), all.end(),
                                                         [](double s) { return s <= 1.0; })) /
                       static_cast<double>(all.size());
  out.covered_held_out = covered_held_out(points);
  out.factor = std::max(1.0, conformal_factor(all, kCoverage));
  return out;
}

void widen(MetricValue& value, double factor) {
  if (factor <= 1.0 || value.p10 <= 0.0) return;
  const bool share = value.unit == "1" && value.p90 <= 1.0;
  const double below = factor * width(value.p10, value.p50);
  const double above = factor * width(value.p50, value.p90);
  value.p10 = value.p50 * std::exp(-below);
  value.p90 = value.p50 * std::exp(above);
  if (share) value.p90 = std::min(value.p90, std::max(1.0, value.p50));
}

}  // namespace

double conformal_factor(std::vector<double> scores, double coverage) {
  LINDOS_ASSERT(!scores.empty(), "a quantile of nothing");
  std::sort(scores.begin(), scores.end());
  const auto rank =
      static_cast<std::size_t>(std::ceil(static_cast<double>(scores.size() + 1) * coverage));
  return scores[std::min(rank, scores.size()) - 1];
}

std::vector<MetricCalibration> calibrate_intervals(const std::vector<CalibrationPair>& pairs) {
  std::map<std::string, std::vector<Point>> points;
  for (const CalibrationPair& pair : pairs) {
    for (const auto& [name, predicted] : pair.predicted.metrics) {
      const auto measured = pair.measured.metrics.find(name);
      if (measured == pair.measured.metrics.end() || !scorable(predicted, measured->second.p50))
        continue;
      points[name].push_back(
          {score(predicted, measured->second.p50), in_first_half(pair.measured)});
    }
  }
  std::vector<MetricCalibration> out;
  for (const Metric& metric : metric_registry()) {
    const auto found = points.find(std::string(metric.name));
    if (found == points.end() || static_cast<std::int64_t>(found->second.size()) < kFewestPairs)
      continue;
    out.push_back(calibrate(found->first, found->second));
  }
  return out;
}

void widen_intervals(RunRecord& record, const std::vector<const Profile*>& profiles) {
  std::map<std::string, double> factors;
  for (const Profile* profile : profiles) {
    for (const IntervalFactor& factor : profile->interval_factors) {
      double& largest = factors.try_emplace(factor.metric, 1.0).first->second;
      largest = std::max(largest, factor.factor);
    }
  }
  const auto widen_all = [&](std::map<std::string, MetricValue>& metrics) {
    for (auto& [name, value] : metrics) {
      if (const auto found = factors.find(name); found != factors.end()) widen(value, found->second);
    }
  };
  widen_all(record.metrics);
  for (auto& [tenant, metrics] : record.tenants) widen_all(metrics);
}

}  // namespace lindos::sim
