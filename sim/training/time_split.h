// SPDX-License-Identifier: Apache-2.0
// Seconds of one device by ledger cause; the sum is a duration. Plain value.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "scenarios/ledger.h"
#include "scenarios/units.h"

namespace lindos::sim {

class TimeSplit {
 public:
  // REQUIRES: seconds >= 0.
  void add(Cause cause, Seconds seconds) { seconds_[index(cause)] += seconds.count(); }
  void add(const TimeSplit& other, double times = 1.0) {
    for (std::size_t i = 0; i < kCauseCount; ++i) seconds_[i] += times * other.seconds_[i];
  }
  [[nodiscard]] Seconds of(Cause cause) const { return Seconds(seconds_[index(cause)]); }
  [[nodiscard]] Seconds total() const {
    double sum = 0.0;
    for (const double s : seconds_) sum += s;
    return Seconds(sum);
  }
  // What a slower device stretches: everything but communication and waiting.
  [[nodiscard]] Seconds compute() const {
    return of(Cause::kUseful) + of(Cause::kMemoryBound) + of(Cause::kKernelInefficiency) +
           of(Cause::kRecompute) + of(Cause::kPadding) + of(Cause::kPowerCap) +
           of(Cause::kHostOverhead);
  }
  [[nodiscard]] Seconds communication() const { return total() - compute(); }
  [[nodiscard]] TimeSplit without(Cause cause) const {
    TimeSplit out = *this;
    out.seconds_[index(cause)] = 0.0;
    return out;
  }
  // The same work with kernels that take `kernels` times as long and communication `links` times. Useful time
  // stays: what a faster kernel saves is inefficiency, then waiting for memory.
  [[nodiscard]] TimeSplit stretched(double kernels, double links) const;
  // The same work at that clock (sim/power_limit.h): arithmetic takes 1 / clock as long, the extra is booked as power cap.
  [[nodiscard]] TimeSplit at_clock(double clock) const {
    TimeSplit slowed = *this;
    const Seconds arithmetic = of(Cause::kUseful) + of(Cause::kKernelInefficiency) + of(Cause::kRecompute) + of(Cause::kPadding);
    slowed.add(Cause::kPowerCap, arithmetic * (1.0 / clock - 1.0));
    return slowed;
  }
  // Books every entry on devices with this peak in sum.
  void book(Ledger& ledger, FlopPerSecond peak, double times = 1.0) const {
    for (std::size_t i = 0; i < kCauseCount; ++i) {
      if (seconds_[i] > 0.0) ledger.book(static_cast<Cause>(i), Seconds(times * seconds_[i]), peak);
    }
  }
  bool operator==(const TimeSplit&) const = default;

 private:
  static constexpr std::size_t index(Cause cause) { return static_cast<std::size_t>(cause); }
  std::array<double, kCauseCount> seconds_{};
};

inline TimeSplit TimeSplit::stretched(double kernels, double links) const {
  TimeSplit out;
  double extra = compute().count() * (kernels - 1.0);
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    TimeSplit only;
    only.seconds_[i] = seconds_[i];
    out.seconds_[i] = seconds_[i] * (only.communication().count() > 0.0 ? links : 1.0);
  }
  for (const Cause cause : {Cause::kKernelInefficiency, Cause::kMemoryBound}) {
    double& seconds = out.seconds_[index(cause)];
    const double moved = std::max(extra, -seconds);
    seconds += moved;
    extra -= moved;
  }
  return out;
}

}  // namespace lindos::sim
