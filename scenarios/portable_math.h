// SPDX-License-Identifier: Apache-2.0
// log, exp, cos and ln Γ from additions and multiplications alone, so that a drawn arrival or length is the same on every
// platform: the last bit of the C library's differs between versions and processors. Relative error below 1e-12, far
// finer than the whole tokens and microseconds that are made of them. Files that include this are compiled without
// contraction to fused operations.
#pragma once

#include <cmath>

namespace lindos::portable {

// REQUIRES: x > 0, normal.
[[nodiscard]] inline double log(double x) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  int exponent = 0;
  double m = std::frexp(x, &exponent);  // [1/2, 1)
  if (m < 0.70710678118654752) {
    m *= 2.0;
    --exponent;
  }
  // ln m = 2 artanh(z), z = (m − 1)/(m + 1), |z| < 0.172: the term of z^19 is below 1e-16.
  const double z = (m - 1.0) / (m + 1.0);
  const double square = z * z;
  double sum = 0.0;
  for (int n = 17; n >= 1; n -= 2) sum = sum * square + 1.0 / n;
  return exponent * kLn2 + 2.0 * z * sum;
}

// 0 below −700. REQUIRES: x < 700.
[[nodiscard]] inline double exp(double x) {
  constexpr double kLn2 = 0x1.62e42fefa39efp-1;
  if (x < -700.0) return 0.0;
  const double whole = std::floor(x / kLn2 + 0.5);
  const double rest = x - whole * kLn2;  // |rest| < 0.347: the term of rest^14 is below 1e-16
  double sum = 1.0;
  for (int n = 13; n >= 1; --n) sum = 1.0 + sum * rest / n;
  return std::ldexp(sum, static_cast<int>(whole));
}

// ln Γ(x) by Stirling's series after stepping up to x >= 12, where the term of x^-11 is below 1e-15. REQUIRES: x > 0, at
// most 1e6.
[[nodiscard]] inline double log_gamma(double x) {
  constexpr double kHalfLnTwoPi = 0x1.d67f1c864beb5p-1;
  double product = 1.0;
  while (x < 12.0) product *= x++;
  const double inverse = 1.0 / x;
  const double square = inverse * inverse;
  const double series =
      inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square * (1.0 / 1680.0 - square / 1188.0))));
  return (x - 0.5) * log(x) - x + kHalfLnTwoPi + series - log(product);
}

// cos(2π x).
[[nodiscard]] inline double cos_of_turns(double x) {
  constexpr double kTwoPi = 0x1.921fb54442d18p+2;
  x -= std::floor(x + 0.5);  // [−1/2, 1/2)
  const bool half = std::abs(x) > 0.25;
  // cos(2π x) = −cos(2π (1/2 − |x|)): the series sees at most a quarter turn.
  const double angle = kTwoPi * (half ? 0.5 - std::abs(x) : x);
  const double square = angle * angle;
  double sum = 1.0;
  for (int n = 20; n >= 2; n -= 2) sum = 1.0 - sum * square / (n * (n - 1.0));
  return half ? -sum : sum;
}

}  // namespace lindos::portable
