// SPDX-License-Identifier: Apache-2.0
// What `lindos validate` reports: predictions beside published or measured values, as error
// statistics per metric and per family, and every row that could not be compared with the reason.
// A row is covered or a miss, never neither. Relative error of one pair = predicted / measured − 1;
// "ape" = its magnitude. All statistics are ratios (0.05 = 5 %).
//
//   ValidationReport report;
//   report.covered += 1;
//   report.compare("step_time_s", "GPT", {.predicted = 1.02, .measured = 1.0});
//   report.misses.push_back({"published.csv:7", "names no GPU"});
//   const ErrorStatistics s = error_statistics(report.metrics.at("step_time_s").at("GPT"));
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace lindos {

struct ComparedValue {
  double predicted = 0.0;
  double measured = 0.0;  // > 0
  struct Interval {
    double low = 0.0;
    double high = 0.0;
  };
  std::optional<Interval> interval;  // of the prediction, when it has one
};

struct ErrorStatistics {
  std::int64_t n = 0;
  double median_ape = 0.0;
  double mape = 0.0;     // mean of the magnitudes
  double p90_ape = 0.0;  // quantiles: linear interpolation, type 7
  double max_ape = 0.0;
  double bias = 0.0;  // mean of the signed errors: above 0 predicts too much
  // Share of the values with an interval whose measurement lies inside; absent when none has one.
  std::optional<double> interval_coverage;
  bool operator==(const ErrorStatistics&) const = default;
};

struct ValidationMiss {
  std::string row;     // file:line, or what names the row in its file
  std::string reason;  // equal reasons are counted together, so keep figures of the row out of it
  bool operator==(const ValidationMiss&) const = default;
};

struct ValidationReport {
  std::int64_t covered = 0;
  // Metric (name that ends in its unit) → family of rows → pairs.
  std::map<std::string, std::map<std::string, std::vector<ComparedValue>>> metrics;
  std::vector<ValidationMiss> misses;

  // REQUIRES: both values finite, measured > 0; a row that has no such value is a miss.
  void compare(const std::string& metric, const std::string& family, const ComparedValue& value);
  [[nodiscard]] std::int64_t rows() const {
    return covered + static_cast<std::int64_t>(misses.size());
  }
};

// REQUIRES: values not empty.
[[nodiscard]] ErrorStatistics error_statistics(const std::vector<ComparedValue>& values);
// Over all families of one metric.
[[nodiscard]] ErrorStatistics error_statistics(
    const std::map<std::string, std::vector<ComparedValue>>& families);

}  // namespace lindos
