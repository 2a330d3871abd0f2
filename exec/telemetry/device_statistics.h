// SPDX-License-Identifier: Apache-2.0
// Readings of one GPU over a window → what the window was like. Pure, and its memory does not grow with the
// length of the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

#include "exec/telemetry/device_reading.h"
#include "scenarios/units.h"

namespace lindos::exec {

// The energy counter is exact but moves in steps near 100 ms: below this window they blur the mean by over 2 %.
inline constexpr Seconds kEnergyCounterWindow{5.0};
// Between two of its steps it is exact, but for when they came: between two samples. With this many samples from the
// first to the last step that is 2.5 % at worst, in windows however short.
inline constexpr double kEnergyStepSamples = 40.0;

enum class PowerSource { kEnergyCounter, kPowerSamples };
// "energy counter", "power samples".
[[nodiscard]] std::string_view name_of(PowerSource source);

struct MeasuredPower {
  Watts mean;
  Joules energy;          // mean × window
  PowerSource source;
  bool operator==(const MeasuredPower&) const = default;
};

struct ClockRange {
  Hertz min;
  Hertz median;           // over the samples
  bool operator==(const ClockRange&) const = default;
};

struct DeviceSummary {
  Seconds window{0};
  std::size_t samples = 0;
  std::optional<MeasuredPower> power;
  std::optional<ClockRange> sm_clock;
  std::optional<ClockRange> memory_clock;
  std::optional<double> temperature_max_c;
  std::optional<Bytes> memory_used_max;
  // Share of the samples in which the reason was at work, 0…1; reasons overlap. Losses do not: see loss_of.
  std::optional<std::map<ClockReason, double>> clock_reasons;
  std::optional<std::map<ClockLoss, double>> clock_losses;
  std::optional<std::uint64_t> ecc_uncorrected;   // new errors within the window
  Absences unavailable;                           // under the names of these fields
  bool operator==(const DeviceSummary&) const = default;
};

class DeviceStatistics {
 public:
  // REQUIRES: `at` does not go back.
  void add(Seconds at, const DeviceReading& reading);
  [[nodiscard]] DeviceSummary summary() const;

 private:
  // A counter that only grows; a smaller value means that it was reset, and then no difference is known.
  template <class T>
  struct Counter {
    std::optional<T> first, last;
    Seconds first_at{0}, last_at{0};
    // At the first and the last sample that saw the counter greater than the sample before it.
    std::optional<T> first_step, last_step;
    Seconds first_step_at{0}, last_step_at{0};
    bool reset = false;
    void add(Seconds at, const std::optional<T>& value);
  };
  using Histogram = std::map<double, std::size_t>;   // few clocks are ever used
  [[nodiscard]] std::optional<MeasuredPower> power() const;

  std::size_t samples_ = 0;
  Seconds begin_{0}, end_{0};
  Counter<Joules> energy_;
  Counter<std::uint64_t> ecc_;
  std::optional<Watts> last_power_;
  Joules power_integral_{0};
  Seconds power_time_{0};
  Histogram sm_clocks_, memory_clocks_;
  std::optional<double> temperature_max_c_;
  std::optional<Bytes> memory_used_max_;
  std::size_t reason_samples_ = 0;
  std::map<ClockReason, std::size_t> reasons_;
  std::map<ClockLoss, std::size_t> losses_;
  Absences last_unavailable_;
};

}  // namespace lindos::exec
