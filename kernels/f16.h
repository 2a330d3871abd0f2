// SPDX-License-Identifier: Apache-2.0
// IEEE half precision: sign, 5 exponent bits (bias 15), 10 mantissa bits; the largest number is 65,504, the least 2^-24.
// Narrowing rounds to nearest, ties to even; from 65,520 on it gives infinity. NaN stays NaN.
#pragma once

#include <bit>
#include <cstdint>

namespace lindos::kernels {

inline constexpr float kLargestF16 = 65504.0F;

[[nodiscard]] constexpr std::uint16_t to_f16(float x) {
  const auto bits = std::bit_cast<std::uint32_t>(x);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);    // NaN
  if (magnitude >= 0x477ff000U) return static_cast<std::uint16_t>(sign | 0x7c00U);   // >= 65,520 rounds up
  if (magnitude < 0x38800000U) {
    // Below 2^-14 a half is a multiple of 2^-24. Adding 0.5 lets the adder round to exactly that grid.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U));
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13U) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

[[nodiscard]] constexpr float from_f16(std::uint16_t x) {
  // Exponent and mantissa move to their f32 places; one multiplication by 2^112 corrects the bias (127 − 15) and is exact
  // for subnormals too. Infinity and NaN keep an exponent of all ones.
  const std::uint32_t sign = (x & 0x8000U) << 16U;
  const std::uint32_t magnitude = (x & 0x7fffU) << 13U;
  std::uint32_t value = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  if ((x & 0x7c00U) == 0x7c00U) value = magnitude | 0x7f800000U;
  return std::bit_cast<float>(value | sign);
}

}  // namespace lindos::kernels
