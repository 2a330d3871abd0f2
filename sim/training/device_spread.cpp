// SPDX-License-Identifier: Apache-2.0
#include "sim/training/device_spread.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "scenarios/error.h"
#include "sim/normal_distribution.h"

namespace lindos::sim {

namespace {

// Beyond this many standard deviations (tail 1e-18 and less) no fleet has a device.
constexpr double kFarthest = 9.0;

// P(time > x) of a normal; of a constant 0 when sigma is 0.
double above(double x, double sigma) {
  if (sigma > 0.0) return normal_tail(x / sigma);
  return x >= 0.0 ? 0.0 : 1.0;
}

}  // namespace

DeviceSpread::DeviceSpread(double static_sigma, double jitter_sigma, double replaced_above)
    : static_sigma_(static_sigma),
      jitter_sigma_(jitter_sigma),
      both_sigma_(std::hypot(static_sigma, jitter_sigma)),
      replaced_above_(replaced_above) {
  LINDOS_ASSERT(static_sigma >= 0.0 && jitter_sigma >= 0.0, "a standard deviation is not negative");
  if (replaced_above == kNothingReplaced) return;
  LINDOS_ASSERT(static_sigma > 0.0, "equal devices have no slowest");
  kept_ = normal_tail(-replaced_above / static_sigma);
  LINDOS_ASSERT(kept_ > 0.0, "some device must stay");
  constexpr int kKnots = 1024;
  const double low = -kFarthest * both_sigma_;
  const double high = std::min(replaced_above, kFarthest * static_sigma) + kFarthest * jitter_sigma;
  for (int i = 0; i < kKnots; ++i) {
    const double x = low + (high - low) * i / (kKnots - 1);
    const double t = tail_after_replacement(x);
    if (t > 0.0) knots_.push_back({std::log(t), x});
  }
}

double DeviceSpread::tail(double x) const {
  if (knots_.empty()) return above(x, both_sigma_);
  if (x <= knots_.front().x) return 1.0;
  const auto next = std::lower_bound(knots_.begin(), knots_.end(), x,
                                     [](const Knot& knot, double value) { return knot.x < value; });
  if (next == knots_.end()) return 0.0;
  const Knot& before = *(next - 1);
  const double share = (x - before.x) / (next->x - before.x);
  return std::exp(before.log_tail + share * (next->log_tail - before.log_tail));
}

double DeviceSpread::tail_after_replacement(double x) const {
  if (jitter_sigma_ == 0.0) {
    if (x >= replaced_above_) return 0.0;
    return std::max(0.0, above(x, static_sigma_) - above(replaced_above_, static_sigma_)) / kept_;
  }
  // P(S + J > x | S <= b) = ∫ over s up to b of the density of S times P(J > x − s), by Simpson's
  // rule.
  constexpr int kIntervals = 128;
  const double from = -kFarthest * static_sigma_;
  const double to = std::min(replaced_above_, kFarthest * static_sigma_);
  const double width = (to - from) / kIntervals;
  double sum = 0.0;
  for (int i = 0; i <= kIntervals; ++i) {
    const double s = from + width * i;
    const double z = s / static_sigma_;
    const double weight = i == 0 || i == kIntervals ? 1.0 : (i % 2 == 1 ? 4.0 : 2.0);
    sum += weight * std::exp(-0.5 * z * z) * above(x - s, jitter_sigma_);
  }
  const double density = 1.0 / (static_sigma_ * std::sqrt(2.0 * std::numbers::pi));
  return std::min(1.0, sum * width / 3.0 * density / kept_);
}

double DeviceSpread::quantile(double tail) const {
  if (knots_.empty()) return both_sigma_ * normal_tail_quantile(tail);
  const double log_tail = std::log(tail);
  // Tails fall as times rise.
  const auto next = std::lower_bound(knots_.begin(), knots_.end(), log_tail,
                                     [](const Knot& knot, double t) { return knot.log_tail > t; });
  if (next == knots_.begin()) return knots_.front().x;
  if (next == knots_.end()) return knots_.back().x;
  const Knot& before = *(next - 1);
  const double share = (log_tail - before.log_tail) / (next->log_tail - before.log_tail);
  return before.x + share * (next->x - before.x);
}

double DeviceSpread::slowest(double devices, double u) const {
  if (!deviates()) return 0.0;
  // 1 − u^(1/n) without cancellation.
  return quantile(-std::expm1(std::log(u) / devices));
}

}  // namespace lindos::sim
