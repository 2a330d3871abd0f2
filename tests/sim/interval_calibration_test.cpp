// SPDX-License-Identifier: Apache-2.0
#include "sim/interval_calibration.h"

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::sim {
namespace {

// A prediction of 1 with a band of ± `half` (natural logarithm), and a measured value.
CalibrationPair pair_of(double half, double measured, int number) {
  CalibrationPair pair;
  pair.predicted.metrics["ttft_s"] = {std::exp(-half), 1.0, std::exp(half), "s", "modelled"};
  pair.measured.metrics["ttft_s"] = {measured, measured, measured, "s", "measured"};
  pair.measured.scenario_digest = std::string(31, '0') + "0123456789abcdef"[number % 16];
  pair.measured.plan_digest = std::string(32, '0');
  return pair;
}

// Of 9 scores the ceil(10 × 0.8) = 8th smallest; of 4 the ceil(5 × 0.8) = 4th; of 3 the 4th would be asked, the largest is there.
TEST(ConformalFactor, TakesTheRankOfTheFiniteSample) {
  EXPECT_EQ(conformal_factor({9, 1, 8, 2, 7, 3, 6, 4, 5}, 0.8), 8);
  EXPECT_EQ(conformal_factor({4, 1, 3, 2}, 0.8), 4);
  EXPECT_EQ(conformal_factor({3, 1, 2}, 0.8), 3);
}

TEST(CalibrateIntervals, AsksForMoreOnlyWhereBandsAreTooNarrow) {
  std::vector<CalibrationPair> pairs;
  for (int i = 0; i < 16; ++i) pairs.push_back(pair_of(0.1, std::exp(i % 2 == 0 ? 0.25 : -0.25), i));
  const auto narrow = calibrate_intervals(pairs);
  ASSERT_EQ(narrow.size(), 1U);
  EXPECT_EQ(narrow[0].metric, "ttft_s");
  EXPECT_EQ(narrow[0].points, 16);
  EXPECT_EQ(narrow[0].covered_before, 0.0);
  EXPECT_NEAR(narrow[0].factor, 2.5, 1e-12);  // every score is 0.25 / 0.1
  pairs.clear();
  for (int i = 0; i < 16; ++i) pairs.push_back(pair_of(0.1, std::exp(0.01), i));
  EXPECT_EQ(calibrate_intervals(pairs)[0].factor, 1.0);
  EXPECT_EQ(calibrate_intervals(pairs)[0].covered_held_out, 1.0);
}

TEST(CalibrateIntervals, SaysNothingOfMetricsWithFewPairs) {
  std::vector<CalibrationPair> pairs;
  for (int i = 0; i < kFewestPairs - 1; ++i) pairs.push_back(pair_of(0.1, 1.5, i));
  EXPECT_TRUE(calibrate_intervals(pairs).empty());
  pairs.push_back(pair_of(0.1, 1.5, 7));
  EXPECT_EQ(calibrate_intervals(pairs).size(), 1U);
}

// Errors of sigma 0.1 under bands made for sigma 0.03: of new draws about 80 % must lie in the widened bands. 400 pairs
// and 4,000 draws put the share within ± 0.06 (three standard errors of the calibrating quantile: 3 × sqrt(0.16 / 400)).
TEST(CalibrateIntervals, WidenedBandsHoldWhatTheyPromise) {
  std::mt19937_64 random(5);
  std::normal_distribution<double> error(0.0, 0.1);
  constexpr double kHalf = 1.2816 * 0.03;
  std::vector<CalibrationPair> pairs;
  for (int i = 0; i < 400; ++i) pairs.push_back(pair_of(kHalf, std::exp(error(random)), i));
  const auto found = calibrate_intervals(pairs);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_LT(found[0].covered_before, 0.45);
  EXPECT_NEAR(found[0].covered_held_out, 0.8, 0.06);
  Profile profile;
  profile.interval_factors = {{"ttft_s", found[0].factor, 400}};
  RunRecord record = pair_of(kHalf, 1.0, 0).predicted;
  widen_intervals(record, {&profile});
  const MetricValue& band = record.metrics.at("ttft_s");
  EXPECT_EQ(band.p50, 1.0);
  int inside = 0;
  for (int i = 0; i < 4000; ++i) {
    const double truth = std::exp(error(random));
    inside += truth >= band.p10 && truth <= band.p90 ? 1 : 0;
  }
  EXPECT_NEAR(inside / 4000.0, 0.8, 0.06);
}

TEST(WidenIntervals, StretchesEachSideAndKeepsSharesBelowOne) {
  Profile slight, strong;
  slight.interval_factors = {{"ttft_s", 1.5, 8}, {"mfu", 3.0, 8}};
  strong.interval_factors = {{"ttft_s", 2.0, 8}};
  RunRecord record;
  record.metrics["ttft_s"] = {0.5, 1.0, 1.1, "s", "modelled"};
  record.metrics["mfu"] = {0.8, 0.9, 0.95, "1", "modelled"};
  record.metrics["tpot_s"] = {0.9, 1.0, 1.1, "s", "modelled"};
  widen_intervals(record, {&slight, &strong});
  EXPECT_NEAR(record.metrics["ttft_s"].p10, 0.25, 1e-12);  // the larger factor of the two
  EXPECT_NEAR(record.metrics["ttft_s"].p90, 1.21, 1e-12);
  EXPECT_EQ(record.metrics["mfu"].p90, 1.0);               // 0.9 × (0.95 / 0.9)³ = 1.058
  EXPECT_EQ(record.metrics["tpot_s"].p90, 1.1);            // no factor
}

RC_GTEST_PROP(WidenIntervals, NeverNarrowsAndKeepsTheMedian, ()) {
  std::mt19937_64 random(*rc::gen::arbitrary<std::uint64_t>());
  std::uniform_real_distribution<double> half(0.0, 1.0), factor(1.0, 10.0);
  Profile profile;
  profile.interval_factors = {{"ttft_s", factor(random), 8}};
  RunRecord record;
  record.metrics["ttft_s"] = {std::exp(-half(random)), 1.0, std::exp(half(random)), "s", "modelled"};
  const MetricValue before = record.metrics["ttft_s"];
  widen_intervals(record, {&profile});
  const MetricValue& after = record.metrics["ttft_s"];
  RC_ASSERT(after.p10 <= before.p10 && after.p50 == before.p50 && after.p90 >= before.p90);
}

}  // namespace
}  // namespace lindos::sim
