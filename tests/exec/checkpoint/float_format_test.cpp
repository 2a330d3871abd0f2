// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/float_format.h"

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(FloatFormat, DecodesKnownHalves) {
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0F);
  EXPECT_EQ(f16_to_f32(0xc000), -2.0F);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0F);    // (2 − 2^-10) × 2^15
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24F);    // least subnormal
  EXPECT_EQ(f16_to_f32(0x03ff), 0x3ffp-24F);  // greatest subnormal
  EXPECT_EQ(f16_to_f32(0xfc00), -kInfinity);
  EXPECT_TRUE(std::isnan(f16_to_f32(0x7e00)));
  EXPECT_TRUE(std::signbit(f16_to_f32(0x8000)));
}

// Every half and every bfloat16 is an f32, so going there and back must change nothing.
TEST(FloatFormat, ReturnsEachSixteenBitNumber) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto narrow = static_cast<std::uint16_t>(bits);
    if (!std::isnan(f16_to_f32(narrow))) {
      ASSERT_EQ(f32_to_f16(f16_to_f32(narrow)), narrow);
    }
    if (!std::isnan(bf16_to_f32(narrow))) {
      ASSERT_EQ(f32_to_bf16(bf16_to_f32(narrow)), narrow);
    }
  }
}

TEST(FloatFormat, RoundsToNearestTiesToEven) {
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // half-way, even below
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);  // half-way, even above
  EXPECT_EQ(f32_to_bf16(std::bit_cast<float>(0x3f808001U)), 0x3f81);
  EXPECT_EQ(f32_to_f16(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(f32_to_f16(1.0F + 0x3p-11F), 0x3c02);
  EXPECT_EQ(f32_to_f16(0x1p-25F), 0x0000);  // half of the least subnormal
  EXPECT_EQ(f32_to_f16(0x3p-25F), 0x0002);
  EXPECT_EQ(f32_to_f16(65519.0F), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0F), 0x7c00);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(0x7f800001U)))));
}

TEST(FloatFormat, RoundsInPlace) {
  std::array<float, 2> values{1.0F + 0x1p-9F, -1.0F - 0x3p-9F};
  round_floats(values, Dtype::kF32);
  EXPECT_EQ(values[0], 1.0F + 0x1p-9F);
  round_floats(values, Dtype::kF16);
  EXPECT_EQ(values[0], 1.0F + 0x1p-9F);  // ten bits of fraction hold it, seven do not
  round_floats(values, Dtype::kBf16);
  EXPECT_EQ(values[0], 1.0F);
  EXPECT_EQ(values[1], -1.0F - 0x1p-7F);
}

TEST(FloatFormat, DecodesUnalignedData) {
  const std::array<std::byte, 5> bytes{std::byte{0xff}, std::byte{0x80}, std::byte{0x3f},
                                       std::byte{0x00}, std::byte{0xc0}};
  std::array<float, 2> out{};
  decode_floats(bytes.data() + 1, Dtype::kBf16, out);
  EXPECT_EQ(out[0], 1.0F);
  EXPECT_EQ(out[1], -2.0F);
}

}  // namespace
}  // namespace lindos::exec
