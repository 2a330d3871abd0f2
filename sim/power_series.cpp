// SPDX-License-Identifier: Apache-2.0
#include "sim/power_series.h"

#include <algorithm>
#include <utility>

namespace lindos::sim {

Seconds PowerSeries::slice_length() const { return Seconds(1.0 / per_second_); }

void PowerSeries::halve() {
  for (std::size_t i = 0; i < slices_.size(); i += 2) {
    Slice sum = slices_[i];
    if (i + 1 < slices_.size()) {
      sum.added += slices_[i + 1].added;
      sum.device_seconds += slices_[i + 1].device_seconds;
    }
    slices_[i / 2] = sum;
  }
  slices_.resize((slices_.size() + 1) / 2);
  per_second_ *= 0.5;
}

void PowerSeries::cover(Seconds end) {
  while (end.count() * per_second_ > static_cast<double>(kMostSlices)) halve();
}

void PowerSeries::add(Seconds from, Seconds span, Joules energy, double devices) {
  const Seconds end = from + span;
  cover(end);
  double begin = from.count() * per_second_;
  const double last = end.count() * per_second_;
  const auto until = std::min(static_cast<std::size_t>(last), kMostSlices - 1);
  if (slices_.size() <= until) slices_.resize(until + 1);
  auto at = std::min(static_cast<std::size_t>(begin), until);
  if (at == until) {
    slices_[at].added += energy;
    slices_[at].device_seconds += devices * span.count();
    return;
  }
  const double whole = last - begin;
  for (; at <= until; ++at) {
    const double to = at == until ? last : static_cast<double>(at + 1);
    const double share = (to - begin) / whole;
    slices_[at].added += energy * share;
    slices_[at].device_seconds += devices * span.count() * share;
    begin = to;
  }
}

void PowerSeries::coarsen_to(const PowerSeries& other) {
  while (per_second_ > other.per_second_) halve();
}

void PowerSeries::merge(PowerSeries other, double weight) {
  coarsen_to(other);
  other.coarsen_to(*this);
  if (slices_.size() < other.slices_.size()) slices_.resize(other.slices_.size());
  for (std::size_t i = 0; i < other.slices_.size(); ++i) {
    slices_[i].added += other.slices_[i].added * weight;
    slices_[i].device_seconds += other.slices_[i].device_seconds * weight;
  }
}

}  // namespace lindos::sim
