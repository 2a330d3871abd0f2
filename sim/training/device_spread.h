// SPDX-License-Identifier: Apache-2.0
// Log of one device's time in one step, relative to the typical device: its static spread, normal
// and fixed for the run, plus jitter, normal and fresh in each step. Devices whose static part
// exceeds a bound may have been replaced by others of their kind (a burn-in test finds what stays,
// not jitter).
#pragma once

#include <limits>
#include <vector>

namespace lindos::sim {

class DeviceSpread {
 public:
  static constexpr double kNothingReplaced = std::numeric_limits<double>::infinity();

  // Standard deviations; `replaced_above` bounds the static part, as a logarithm.
  DeviceSpread(double static_sigma, double jitter_sigma, double replaced_above = kNothingReplaced);

  // P(log time > x) of one device.
  [[nodiscard]] double tail(double x) const;
  // Of the slowest of `devices`, at a uniform draw u in (0, 1): the distribution function of the
  // largest of n independent draws is F^n, so that one draw serves all n.
  [[nodiscard]] double slowest(double devices, double u) const;
  [[nodiscard]] bool deviates() const { return static_sigma_ > 0.0 || jitter_sigma_ > 0.0; }

 private:
  // Log time that a share `tail` of the devices exceeds.
  [[nodiscard]] double quantile(double tail) const;
  [[nodiscard]] double tail_after_replacement(double x) const;

  double static_sigma_;
  double jitter_sigma_;
  double both_sigma_;
  double replaced_above_;
  double kept_ = 1.0;  // P(static part <= replaced_above) before replacement
  // With replacement the sum is no normal: (log of tail, log time), by rising time.
  struct Knot {
    double log_tail;
    double x;
  };
  std::vector<Knot> knots_;
};

}  // namespace lindos::sim
