// SPDX-License-Identifier: Apache-2.0
// The vector exponential, in the baseline instruction set (no fused multiply-add: the larger error).
#define LINDOS_ISA baseline_in_test
#include "kernels/cpu/lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lindos::kernels {
namespace {

float exponential_of(float x) {
  float lane[LINDOS_ISA::kLanes];
  LINDOS_ISA::store(lane, LINDOS_ISA::exponential(LINDOS_ISA::splat(x)));
  return lane[0];
}

TEST(Exponential, IsWithinTwoUlpOverTheWholeNormalRange) {
  double worst = 0.0;
  for (int i = 0; i <= 2000000; ++i) {
    const float x = -87.3F + static_cast<float>(i) * (176.0F / 2000000.0F);
    const double exact = std::exp(static_cast<double>(x));
    const auto rounded = static_cast<float>(exact);
    const double ulp = static_cast<double>(std::nextafter(rounded, std::numeric_limits<float>::infinity()) - rounded);
    worst = std::max(worst, std::abs(static_cast<double>(exponential_of(x)) - exact) / ulp);
  }
  EXPECT_LE(worst, 2.0);
}

TEST(Exponential, IsExactWhereAttentionRelies) {
  EXPECT_EQ(exponential_of(0.0F), 1.0F);  // the largest score of a group weighs exactly 1
  EXPECT_EQ(exponential_of(-std::numeric_limits<float>::infinity()), 0.0F);  // a masked score weighs nothing
  EXPECT_EQ(exponential_of(-1000.0F), 0.0F);
  EXPECT_EQ(exponential_of(89.0F), std::numeric_limits<float>::infinity());
  EXPECT_TRUE(std::isfinite(exponential_of(88.7228F)));
  EXPECT_TRUE(std::isnan(exponential_of(std::numeric_limits<float>::quiet_NaN())));
}

}  // namespace
}  // namespace lindos::kernels
