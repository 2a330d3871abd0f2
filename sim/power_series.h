// SPDX-License-Identifier: Apache-2.0
// Energy of one replica over time, in bounded memory: slices of equal length, so many at most; when time runs past the
// last one, neighbours become one. Lengths are 2^-20 s doubled again and again, so that series of unlike lengths
// are brought to one exactly.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "scenarios/units.h"

namespace lindos::sim {

class PowerSeries {
 public:
  static constexpr std::size_t kMostSlices = 960;
  struct Slice {
    Joules added{0};              // to idle power × time
    double device_seconds = 0.0;  // that devices worked on a step
    bool operator==(const Slice&) const = default;
  };

  PowerSeries() = default;
  PowerSeries(Seconds slice_length, std::vector<Slice> slices) : per_second_(1.0 / slice_length.count()), slices_(std::move(slices)) {}

  // A step that so many devices work on from `from` for `span`; its energy is spent evenly. REQUIRES: from >= 0.
  void add(Seconds from, Seconds span, Joules energy, double devices);
  [[nodiscard]] Seconds slice_length() const;
  [[nodiscard]] const std::vector<Slice>& slices() const { return slices_; }
  // As long slices as `other` has, if they are shorter.
  void coarsen_to(const PowerSeries& other);
  // Slice by slice, times `weight`, each to the length of the longer.
  void merge(PowerSeries other, double weight);
  // Slices long enough for this time.
  void cover(Seconds end);
  bool operator==(const PowerSeries&) const = default;

 private:
  void halve();
  static constexpr double kBasePerSecond = 1048576.0;
  double per_second_ = kBasePerSecond;  // 1 / slice length
  std::vector<Slice> slices_;
};

}  // namespace lindos::sim
