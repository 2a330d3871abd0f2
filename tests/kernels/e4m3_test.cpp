// SPDX-License-Identifier: Apache-2.0
#include "kernels/e4m3.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lindos::kernels {

namespace {

// Open Compute 8-bit floating point, table of E4M3: least subnormal 2^-9, least normal 2^-6, largest 1.75 · 2^8.
TEST(E4m3, NamedNumbersHaveTheirCodes) {
  EXPECT_EQ(from_e4m3(0x00), 0.0F);
  EXPECT_EQ(from_e4m3(0x01), 0x1p-9F);
  EXPECT_EQ(from_e4m3(0x07), 0x1.cp-7F);
  EXPECT_EQ(from_e4m3(0x08), 0x1p-6F);
  EXPECT_EQ(from_e4m3(0x38), 1.0F);
  EXPECT_EQ(from_e4m3(0x7e), kLargestE4m3);
  EXPECT_EQ(from_e4m3(0xfe), -kLargestE4m3);
  EXPECT_TRUE(std::isnan(from_e4m3(0x7f)));
  EXPECT_TRUE(std::isnan(from_e4m3(0xff)));
}

TEST(E4m3, EveryNumberComesBack) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7f) == 0x7f) continue;
    EXPECT_EQ(to_e4m3(from_e4m3(static_cast<std::uint8_t>(code))), code);
  }
}

// Between two neighbours the nearer one, and of a tie the one whose last bit is 0.
TEST(E4m3, NarrowingRoundsToNearestEven) {
  for (int code = 0; code < 0x7e; ++code) {
    const auto low = static_cast<std::uint8_t>(code);
    const auto high = static_cast<std::uint8_t>(code + 1);
    const float middle = (from_e4m3(low) + from_e4m3(high)) / 2.0F;   // exact in f32
    EXPECT_EQ(to_e4m3(middle), code % 2 == 0 ? low : high) << code;
    EXPECT_EQ(to_e4m3(std::nextafter(middle, 0.0F)), low) << code;
    EXPECT_EQ(to_e4m3(std::nextafter(middle, 1e9F)), high) << code;
    EXPECT_EQ(to_e4m3(-middle), (code % 2 == 0 ? low : high) | 0x80) << code;
  }
}

TEST(E4m3, BeyondTheLargestSaturatesAndNanStays) {
  EXPECT_EQ(to_e4m3(1e9F), 0x7e);
  EXPECT_EQ(to_e4m3(-std::numeric_limits<float>::infinity()), 0xfe);
  EXPECT_TRUE(std::isnan(from_e4m3(to_e4m3(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace

}  // namespace lindos::kernels
