// SPDX-License-Identifier: Apache-2.0
// A draw of the exponential distribution with mean 1 from 32 random bits, the same on every
// platform. Resolution 2^-32 of the probability; the longest draw is 32 ln 2 = 22.2.
#pragma once

#include <cstdint>

namespace lindos {

// −log2(u) of u = (word | 1) / 2^32, in units of 2^-32. Integers only: the last bit of std::log
// differs between C libraries, and a time rounded the other way would give two machines two
// different runs. Bit by bit: squaring x in [1, 2) doubles its logarithm, and the whole part is the
// next binary digit.
[[nodiscard]] constexpr std::uint64_t negative_log2(std::uint32_t word) {
  std::uint32_t mantissa = word | 1U;  // u · 2^32, odd
  std::uint64_t whole = 0;             // leading zeros = whole part of −log2, rounded down
  while ((mantissa & 0x80000000U) == 0) {
    mantissa <<= 1U;
    ++whole;
  }
  std::uint64_t x = mantissa;  // in [1, 2), 31 fraction bits
  std::uint64_t logarithm = 0;
  for (int bit = 0; bit < 32; ++bit) {
    x = x * x >> 31U;
    logarithm <<= 1U;
    if (x >= std::uint64_t{1} << 32U) {
      x >>= 1U;
      logarithm |= 1U;
    }
  }
  // u = x/2 · 2^-whole, so −log2(u) = whole + 1 − log2(x).
  return ((whole + 1) << 32U) - logarithm;
}

// −ln(u), by inverse transform: ln(u) = log2(u) · ln 2.
[[nodiscard]] constexpr double exponential_draw(std::uint32_t word) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  return static_cast<double>(negative_log2(word)) * 0x1p-32 * kLn2;
}

}  // namespace lindos
