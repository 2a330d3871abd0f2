// SPDX-License-Identifier: Apache-2.0
#include "cli/validation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cli/table.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

constexpr double kPercent = 100.0;

// Two decimals; what rounds to zero has no sign.
double hundredths(double ratio) { return std::round(100.0 * kPercent * ratio) / 100.0 + 0.0; }

void add_row(Table& table, const std::string& name, const ErrorStatistics& s) {
  const auto percent = [](double ratio) { return fmt::format("{:.2f} %", hundredths(ratio)); };
  table.add({name, std::to_string(s.n), percent(s.median_ape), percent(s.mape), percent(s.p90_ape), percent(s.max_ape),
             fmt::format("{:+.2f} %", hundredths(s.bias)), s.interval_coverage ? percent(*s.interval_coverage) : "–"});
}

nlohmann::ordered_json to_json(const ErrorStatistics& s) {
  nlohmann::ordered_json out{{"n", s.n},           {"median_ape", s.median_ape}, {"mape", s.mape}, {"p90_ape", s.p90_ape},
                             {"max_ape", s.max_ape}, {"bias", s.bias},             {"interval_coverage", nullptr}};
  if (s.interval_coverage) out["interval_coverage"] = *s.interval_coverage;
  return out;
}

// The first row of each reason stands as its example.
std::string render_misses(const std::vector<ValidationMiss>& misses) {
  struct Counted {
    std::int64_t rows = 0;
    std::string first;
  };
  std::map<std::string, Counted> reasons;
  for (const ValidationMiss& miss : misses) {
    Counted& counted = reasons[miss.reason];
    if (counted.rows++ == 0) counted.first = miss.row;
  }
  std::vector<std::pair<std::string, Counted>> sorted(reasons.begin(), reasons.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second.rows > b.second.rows; });
  std::string out;
  for (const auto& [reason, counted] : sorted) {
    out += fmt::format("  {} not covered: {} (first: {})\n", with_thousands(counted.rows), reason, counted.first);
  }
  return out;
}

}  // namespace

std::string render_validation(const ValidationReport& report) {
  std::string out;
  for (const auto& [metric, families] : report.metrics) {
    Table table({metric, "n", "median", "mean", "p90", "max", "bias", "in interval"});
    if (families.size() > 1) {
      for (const auto& [family, values] : families) add_row(table, family, error_statistics(values));
    }
    add_row(table, families.size() > 1 ? "all" : families.begin()->first, error_statistics(families));
    out += table.text() + '\n';
  }
  out += fmt::format("  {} of {} rows covered\n", with_thousands(report.covered), with_thousands(report.rows()));
  return out + render_misses(report.misses);
}

nlohmann::ordered_json validation_json(const ValidationReport& report) {
  nlohmann::ordered_json out{{"rows", report.rows()},
                             {"covered", report.covered},
                             {"metrics", nlohmann::ordered_json::object()},
                             {"groups", nlohmann::ordered_json::object()},
                             {"misses", nlohmann::ordered_json::array()}};
  for (const auto& [metric, families] : report.metrics) {
    out["metrics"][metric] = to_json(error_statistics(families));
    for (const auto& [family, values] : families) out["groups"][family][metric] = to_json(error_statistics(values));
  }
  for (const ValidationMiss& miss : report.misses) out["misses"].push_back({{"row", miss.row}, {"reason", miss.reason}});
  return out;
}

}  // namespace lindos::cli
