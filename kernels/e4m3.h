// SPDX-License-Identifier: Apache-2.0
// FP8 E4M3 (the "FN" kind of the Open Compute 8-bit formats): sign, 4 exponent bits (bias 7), 3 mantissa bits; no
// infinities, S.1111.111 is NaN, the largest number is 448. Narrowing rounds to nearest, ties to even, and saturates.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

namespace lindos::kernels {

inline constexpr float kLargestE4m3 = 448.0F;

[[nodiscard]] inline float from_e4m3(std::uint8_t x) {
  const int exponent = (x >> 3U) & 15;
  const int mantissa = x & 7;
  if (exponent == 15 && mantissa == 7) return std::bit_cast<float>(0x7fc00000U);
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                        : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
  return (x & 0x80U) != 0 ? -magnitude : magnitude;
}

[[nodiscard]] inline std::uint8_t to_e4m3(float x) {
  const auto sign = static_cast<std::uint8_t>(std::signbit(x) ? 0x80U : 0U);
  if (std::isnan(x)) return static_cast<std::uint8_t>(sign | 0x7fU);
  const float magnitude = std::abs(x);
  if (magnitude >= kLargestE4m3) return static_cast<std::uint8_t>(sign | 0x7eU);
  int exponent = 0;
  (void)std::frexp(magnitude, &exponent);
  // Steps of 2^(e−4) in the binade [2^(e−1), 2^e), of 2^−9 below 2^−6. nearbyint: ties to even in the default mode.
  const int step = magnitude == 0.0F ? -9 : std::max(exponent - 4, -9);
  const auto count = static_cast<int>(std::nearbyint(std::ldexp(magnitude, -step)));   // up to 16: carries into the exponent
  const int code = step == -9 ? count : (step + 9) * 8 + count;
  return static_cast<std::uint8_t>(sign | static_cast<std::uint8_t>(code));
}

}  // namespace lindos::kernels
