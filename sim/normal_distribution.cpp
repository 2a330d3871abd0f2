// SPDX-License-Identifier: Apache-2.0
#include "sim/normal_distribution.h"

#include <cmath>
#include <numbers>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

// Abramowitz and Stegun, Handbook of Mathematical Functions, 26.2.23: error below 4.5e-4 for tail
// <= 0.5.
double rational_quantile(double tail) {
  const double t = std::sqrt(-2.0 * std::log(tail));
  return t - (2.515517 + t * (0.802853 + t * 0.010328)) /
                 (1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
}

}  // namespace

double normal_tail(double z) { return 0.5 * std::erfc(z / std::numbers::sqrt2); }

double normal_tail_quantile(double tail) {
  LINDOS_ASSERT(tail > 0.0 && tail < 1.0, "a tail is a probability");
  if (tail > 0.5) return -normal_tail_quantile(1.0 - tail);
  double z = rational_quantile(tail);
  // Halley's method on tail(z) − tail; cubic, so that two steps reach rounding.
  for (int step = 0; step < 2; ++step) {
    const double density = std::exp(-0.5 * z * z) / std::sqrt(2.0 * std::numbers::pi);
    const double u = (normal_tail(z) - tail) / density;
    z += u / (1.0 - 0.5 * z * u);
  }
  return z;
}

}  // namespace lindos::sim
