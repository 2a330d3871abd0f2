// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/float_format.h"

#include <array>
#include <cstddef>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

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

TEST(FloatFormat, NamesWhatF16CannotHold) {
  const float infinity = std::numeric_limits<float>::infinity();
  std::array<float, 3> values{65519.0F, -65519.0F, infinity};   // round to 65504; infinite as stored
  require_range(values, Dtype::kF16, "w");
  values[1] = -65520.0F;
  require_range(values, Dtype::kBf16, "w");
  try {
    require_range(values, Dtype::kF16, "random:1: /lm_head.weight");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("/lm_head.weight"), ::testing::HasSubstr("-65520 is beyond f16")));
  }
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
