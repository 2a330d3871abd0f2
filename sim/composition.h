// SPDX-License-Identifier: Apache-2.0
// What kernels cost each other inside a step: one factor on the layers of a stage, and how far it is
// to be trusted. A profile's stage samples time layers in place; the ratio to the sum of the operator
// prices of the same layers is the factor, log-linear over log(tokens of the step) between samples,
// held beyond them. The ratio also takes up what the sum leaves out: ranks that wait for each other
// in place, caches that one kernel warms for the next. Plain value.
#pragma once

#include <vector>

namespace lindos::sim {

struct CompositionPoint {
  double tokens = 1.0;
  double ratio = 1.0;   // time in place / sum of prices
  double spread = 0.0;  // standard deviation of log(time) between the rounds of the probe
  double apart = 0.0;   // made by Composition: standard deviation of log(ratio) between points of equal tokens
};

class Composition {
 public:
  Composition() = default;  // nothing measured: factor 1, sigma 0
  // In any order; points of equal tokens count as one: their geometric mean, the larger spread. How far they lie apart
  // is what tokens alone do not say (contexts of other lengths, say), and counts as uncertainty.
  // `unseen`: standard deviation of log(time) of what no sample of the device can show.
  // REQUIRES: tokens >= 1, ratio > 0.
  explicit Composition(std::vector<CompositionPoint> points, double unseen = 0.0);

  [[nodiscard]] bool measured() const { return !points_.empty(); }
  [[nodiscard]] double factor(double tokens) const;
  // Standard deviation of log(time) of a whole run: drift of the machine between the probe's rounds,
  // what the median of the rounds leaves open, what tokens do not say, the error of interpolation, and what is unseen.
  [[nodiscard]] double sigma(double tokens) const;

 private:
  struct Between {
    std::size_t low = 0;
    double share = 0.0;  // of the point after it
  };
  [[nodiscard]] Between between(double tokens) const;
  std::vector<CompositionPoint> points_;  // ascending tokens
  double interpolation_ = 0.0;
  double unseen_ = 0.0;
};

}  // namespace lindos::sim
