// SPDX-License-Identifier: Apache-2.0
#include "scenarios/validation_report.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos {

void ValidationReport::compare(const std::string& metric, const std::string& family,
                               const ComparedValue& value) {
  LINDOS_ASSERT(std::isfinite(value.predicted), "a prediction is finite");
  LINDOS_ASSERT(std::isfinite(value.measured) && value.measured > 0.0,
                "relative errors need a measured value above 0");
  metrics[metric][family].push_back(value);
}

ErrorStatistics error_statistics(const std::vector<ComparedValue>& values) {
  LINDOS_ASSERT(!values.empty(), "statistics need a value");
  std::vector<double> magnitudes;
  magnitudes.reserve(values.size());
  double signed_sum = 0.0;
  std::int64_t with_interval = 0;
  std::int64_t inside = 0;
  for (const ComparedValue& v : values) {
    const double error = v.predicted / v.measured - 1.0;
    signed_sum += error;
    magnitudes.push_back(std::abs(error));
    if (!v.interval) continue;
    ++with_interval;
    if (v.interval->low <= v.measured && v.measured <= v.interval->high) ++inside;
  }
  const auto n = static_cast<double>(values.size());
  ErrorStatistics s;
  s.n = static_cast<std::int64_t>(values.size());
  s.mape = std::accumulate(magnitudes.begin(), magnitudes.end(), 0.0) / n;
  s.max_ape = *std::max_element(magnitudes.begin(), magnitudes.end());
  s.bias = signed_sum / n;
  s.median_ape = quantile(magnitudes, 0.5);
  s.p90_ape = quantile(std::move(magnitudes), 0.9);
  if (with_interval > 0) {
    s.interval_coverage = static_cast<double>(inside) / static_cast<double>(with_interval);
  }
  return s;
}

ErrorStatistics error_statistics(
    const std::map<std::string, std::vector<ComparedValue>>& families) {
  std::vector<ComparedValue> all;
  for (const auto& [family, values] : families) all.insert(all.end(), values.begin(), values.end());
  return error_statistics(all);
}

}  // namespace lindos
