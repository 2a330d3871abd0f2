// SPDX-License-Identifier: Apache-2.0
// What the host makes of the device's numbers; needs no device.
#include "kernels/cuda/element.h"

#include <cmath>

#include <gtest/gtest.h>

namespace lindos::kernels::cuda::test {

namespace {

TEST(Element, NumbersAreOfTheFormatThatItSays) {
  EXPECT_EQ(to_number(Element::kBf16, 1.0F).bits, 0x3f80);
  EXPECT_EQ(to_number(Element::kF16, 1.0F).bits, 0x3c00);
  EXPECT_EQ(from_number(Element::kF16, {0x3c00}), 1.0F);
  EXPECT_NE(from_number(Element::kBf16, {0x3c00}), 1.0F);
  // Largest f16; bf16 holds it as 65,536.
  EXPECT_EQ(from_number(Element::kF16, to_number(Element::kF16, 65504.0F)), 65504.0F);
  EXPECT_EQ(from_number(Element::kBf16, to_number(Element::kBf16, 65504.0F)), 65536.0F);
  EXPECT_TRUE(std::isinf(from_number(Element::kF16, to_number(Element::kF16, 65520.0F))));
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
