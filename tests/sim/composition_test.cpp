// SPDX-License-Identifier: Apache-2.0
#include "sim/composition.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

TEST(CompositionTest, NothingMeasuredChangesNothing) {
  const Composition none;
  EXPECT_FALSE(none.measured());
  EXPECT_EQ(none.factor(7.0), 1.0);
  EXPECT_EQ(none.sigma(7.0), 0.0);
}

TEST(CompositionTest, FactorIsLogLinearBetweenPointsAndHeldBeyond) {
  const Composition c({{16.0, 0.9, 0.0}, {1.0, 1.2, 0.0}});
  EXPECT_DOUBLE_EQ(c.factor(0.5), 1.2);
  EXPECT_DOUBLE_EQ(c.factor(1.0), 1.2);
  // 4 is halfway between 1 and 16 on the log axis: the geometric mean.
  EXPECT_DOUBLE_EQ(c.factor(4.0), std::sqrt(1.2 * 0.9));
  EXPECT_DOUBLE_EQ(c.factor(16.0), 0.9);
  EXPECT_DOUBLE_EQ(c.factor(1000.0), 0.9);
}

TEST(CompositionTest, PointsOfEqualTokensAreAveragedAndTheirDistanceCounts) {
  const Composition together({{4.0, 1.0, 0.01}, {4.0, 1.0, 0.02}});
  const Composition apart({{4.0, 1.0 / 1.1, 0.01}, {4.0, 1.1, 0.02}});
  EXPECT_DOUBLE_EQ(together.factor(4.0), 1.0);
  EXPECT_NEAR(apart.factor(4.0), 1.0, 1e-12);
  // The larger spread, once for the run and, divided by the median of seven rounds, for the probe.
  const double repeats = 0.02 * std::sqrt(1.0 + std::numbers::pi / 14.0);
  EXPECT_NEAR(together.sigma(4.0), repeats, 1e-12);
  // Standard deviation of {−log 1.1, +log 1.1}: sqrt(2) · log 1.1.
  EXPECT_NEAR(apart.sigma(4.0), std::hypot(repeats, std::numbers::sqrt2 * std::log(1.1)), 1e-12);
}

TEST(CompositionTest, InnerPointsTellTheErrorOfInterpolation) {
  // The middle point lies 8 % above the line between its neighbours, over twice the span: a quarter of it.
  const Composition c({{1.0, 1.0, 0.0}, {4.0, 1.08, 0.0}, {16.0, 1.0, 0.0}});
  EXPECT_NEAR(c.sigma(2.0), std::log(1.08) / 4.0, 1e-12);
}

TEST(CompositionTest, WhatNoSampleShowsJoinsTheSpread) {
  const double repeats = 0.02 * std::sqrt(1.0 + std::numbers::pi / 14.0);
  const Composition c({{4.0, 1.0, 0.02}}, 0.05);
  EXPECT_NEAR(c.sigma(4.0), std::hypot(repeats, 0.05), 1e-12);
  EXPECT_EQ(Composition({}, 0.05).sigma(4.0), 0.0);   // nothing measured: the tiers say how far prices are to be trusted
}

}  // namespace
}  // namespace lindos::sim
