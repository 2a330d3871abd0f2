// SPDX-License-Identifier: Apache-2.0
#include "scenarios/validation_report.h"

#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos {
namespace {

// Signed errors −10 %, 0, +5 %, +20 %, +25 % against 100.
std::vector<ComparedValue> five_values() {
  return {{90.0, 100.0, ComparedValue::Interval{80.0, 95.0}},
          {100.0, 100.0, ComparedValue::Interval{99.0, 100.0}},
          {105.0, 100.0, {}},
          {120.0, 100.0, ComparedValue::Interval{100.0, 140.0}},
          {125.0, 100.0, {}}};
}

TEST(ErrorStatistics, OfFiveValuesByHand) {
  const ErrorStatistics s = error_statistics(five_values());
  EXPECT_EQ(s.n, 5);
  EXPECT_DOUBLE_EQ(s.median_ape, 0.10);       // 0, 5, 10, 20, 25 %
  EXPECT_DOUBLE_EQ(s.mape, 0.12);             // 60 % / 5
  EXPECT_DOUBLE_EQ(s.max_ape, 0.25);
  EXPECT_NEAR(s.p90_ape, 0.23, 1e-12);        // position 0.9 · 4 = 3.6: 20 % + 0.6 · 5 %
  EXPECT_NEAR(s.bias, 0.08, 1e-12);           // (−10 + 0 + 5 + 20 + 25) / 5
  ASSERT_TRUE(s.interval_coverage);           // 100 lies outside [80, 95] and on the edge of the others
  EXPECT_DOUBLE_EQ(*s.interval_coverage, 2.0 / 3.0);
}

TEST(ErrorStatistics, WithoutIntervalsThereIsNoCoverage) {
  EXPECT_FALSE(error_statistics({{1.0, 2.0, {}}}).interval_coverage);
}

TEST(ValidationReport, FamiliesAreCountedApartAndTogether) {
  ValidationReport report;
  report.compare("step_time_s", "GPT", {1.1, 1.0, {}});
  report.compare("step_time_s", "Llama", {0.9, 1.0, {}});
  report.compare("step_time_s", "Llama", {1.0, 1.0, {}});
  report.covered = 3;
  report.misses.push_back({"file.csv:4", "names no GPU"});
  EXPECT_EQ(report.rows(), 4);
  const auto& families = report.metrics.at("step_time_s");
  EXPECT_EQ(error_statistics(families).n, 3);
  EXPECT_NEAR(error_statistics(families).bias, 0.0, 1e-12);
  EXPECT_EQ(error_statistics(families.at("Llama")).n, 2);
  EXPECT_NEAR(error_statistics(families.at("Llama")).bias, -0.05, 1e-12);
}

#ifdef LINDOS_ASSERTS
TEST(ValidationReportDeathTest, RefusesWhatHasNoRelativeError) {
  ValidationReport report;
  EXPECT_DEATH(report.compare("m", "f", {1.0, 0.0, {}}), "above 0");
  EXPECT_DEATH(report.compare("m", "f", {std::numeric_limits<double>::quiet_NaN(), 1.0, {}}), "finite");
}
#endif

}  // namespace
}  // namespace lindos
