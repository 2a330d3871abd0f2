// SPDX-License-Identifier: Apache-2.0
#include "kernels/f16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/bf16.h"

namespace lindos::kernels {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(F16, WidensKnownHalves) {
  EXPECT_EQ(from_f16(0x3c00), 1.0F);
  EXPECT_EQ(from_f16(0xc000), -2.0F);
  EXPECT_EQ(from_f16(0x7bff), kLargestF16);   // (2 − 2^-10) × 2^15
  EXPECT_EQ(from_f16(0x0001), 0x1p-24F);      // least subnormal
  EXPECT_EQ(from_f16(0x03ff), 0x3ffp-24F);    // greatest subnormal
  EXPECT_EQ(from_f16(0xfc00), -kInfinity);
  EXPECT_TRUE(std::isnan(from_f16(0x7e00)));
  EXPECT_TRUE(std::signbit(from_f16(0x8000)));
}

// Every half and every bfloat16 is an f32, so going there and back must change nothing.
TEST(F16, ReturnsEachSixteenBitNumber) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto narrow = static_cast<std::uint16_t>(bits);
    if (!std::isnan(from_f16(narrow))) ASSERT_EQ(to_f16(from_f16(narrow)), narrow);
    if (!std::isnan(from_bf16(narrow))) ASSERT_EQ(to_bf16(from_bf16(narrow)), narrow);
  }
}

TEST(F16, RoundsToNearestTiesToEven) {
  EXPECT_EQ(to_f16(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(to_f16(1.0F + 0x3p-11F), 0x3c02);
  EXPECT_EQ(to_f16(0x1p-25F), 0x0000);   // half of the least subnormal
  EXPECT_EQ(to_f16(0x3p-25F), 0x0002);
  EXPECT_EQ(to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(to_f16(65520.0F), 0x7c00);
  EXPECT_TRUE(std::isnan(from_f16(to_f16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace lindos::kernels
