// SPDX-License-Identifier: Apache-2.0
#include "sim/normal_distribution.h"

#include <cmath>

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

TEST(NormalDistribution, KnownTails) {
  // Tables of the normal distribution to the digits given.
  EXPECT_DOUBLE_EQ(normal_tail(0.0), 0.5);
  EXPECT_NEAR(normal_tail(1.959963984540054), 0.025, 1e-15);
  EXPECT_NEAR(normal_tail(6.0) / 9.865876450376946e-10, 1.0, 1e-12);
  EXPECT_NEAR(normal_tail_quantile(0.025), 1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_tail_quantile(0.975), -1.959963984540054, 1e-12);
  EXPECT_NEAR(normal_tail_quantile(1e-9), 5.997807015007687, 1e-10);
}

TEST(NormalDistribution, QuantileInvertsTheTailEverywhere) {
  for (double tail = 0.5; tail > 1e-300; tail *= 0.3) {
    EXPECT_NEAR(normal_tail(normal_tail_quantile(tail)) / tail, 1.0, 1e-9) << tail;
    EXPECT_EQ(normal_tail_quantile(1.0 - 0.25), -normal_tail_quantile(0.25));
  }
}

}  // namespace
}  // namespace lindos::sim
