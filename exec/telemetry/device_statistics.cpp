// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_statistics.h"

#include <algorithm>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

template <class T>
void raise(std::optional<T>& max, const std::optional<T>& value) {
  if (value && (!max || *max < *value)) max = value;
}

std::optional<ClockRange> range_of(const std::map<double, std::size_t>& histogram) {
  if (histogram.empty()) return std::nullopt;
  std::size_t samples = 0;
  for (const auto& [clock, count] : histogram) samples += count;
  std::size_t below = 0;
  for (const auto& [clock, count] : histogram) {
    below += count;
    if (2 * below >= samples) return ClockRange{Hertz{histogram.begin()->first}, Hertz{clock}};
  }
  return std::nullopt;
}

template <class Key>
std::map<Key, double> shares(const std::map<Key, std::size_t>& counts, std::size_t samples) {
  std::map<Key, double> result;
  for (const auto& [key, count] : counts) result[key] = static_cast<double>(count) / static_cast<double>(samples);
  return result;
}

}  // namespace

std::string_view name_of(PowerSource source) {
  return source == PowerSource::kEnergyCounter ? "energy counter" : "power samples";
}

template <class T>
void DeviceStatistics::Counter<T>::add(Seconds at, const std::optional<T>& value) {
  if (!value) return;
  if (!first) {
    first = value;
    first_at = at;
  } else if (*value < *last) {
    reset = true;
  } else if (*value > *last) {
    if (!first_step) {
      first_step = value;
      first_step_at = at;
    }
    last_step = value;
    last_step_at = at;
  }
  last = value;
  last_at = at;
}

void DeviceStatistics::add(Seconds at, const DeviceReading& reading) {
  LINDOS_ASSERT(samples_ == 0 || at >= end_, "samples of a device are in order of time");
  // Between two neighbours power is taken as a straight line; a sample without it leaves its two gaps out.
  if (samples_ > 0 && last_power_ && reading.power) {
    power_integral_ += (*last_power_ + *reading.power) / 2.0 * (at - end_);
    power_time_ += at - end_;
  }
  last_power_ = reading.power;
  if (samples_ == 0) begin_ = at;
  end_ = at;
  ++samples_;
  energy_.add(at, reading.energy);
  ecc_.add(at, reading.ecc_uncorrected);
  if (reading.sm_clock) ++sm_clocks_[reading.sm_clock->value()];
  if (reading.memory_clock) ++memory_clocks_[reading.memory_clock->value()];
  raise(temperature_max_c_, reading.temperature_c);
  raise(memory_used_max_, reading.memory_used);
  if (reading.clock_reasons) {
    ++reason_samples_;
    for (ClockReason reason : kClockReasons) {
      if (reading.clock_reasons->has(reason)) ++reasons_[reason];
    }
    if (const auto loss = loss_of(*reading.clock_reasons)) ++losses_[*loss];
  }
  last_unavailable_ = reading.unavailable;
}

std::optional<MeasuredPower> DeviceStatistics::power() const {
  const Seconds window = end_ - begin_;
  const Seconds stepped = energy_.last_step_at - energy_.first_step_at;
  if (samples_ > 1 && !energy_.reset && stepped > Seconds{0} &&
      stepped >= kEnergyStepSamples * window / static_cast<double>(samples_ - 1)) {
    const Watts mean = (*energy_.last_step - *energy_.first_step) / stepped;
    return MeasuredPower{mean, mean * window, PowerSource::kEnergyCounter};
  }
  const Seconds counted = energy_.last_at - energy_.first_at;
  if (energy_.first && !energy_.reset && counted >= kEnergyCounterWindow) {
    const Watts mean = (*energy_.last - *energy_.first) / counted;
    return MeasuredPower{mean, mean * window, PowerSource::kEnergyCounter};
  }
  if (power_time_ > Seconds{0}) {
    const Watts mean = power_integral_ / power_time_;
    return MeasuredPower{mean, mean * window, PowerSource::kPowerSamples};
  }
  return std::nullopt;
}

DeviceSummary DeviceStatistics::summary() const {
  DeviceSummary s;
  s.window = end_ - begin_;
  s.samples = samples_;
  s.power = power();
  s.sm_clock = range_of(sm_clocks_);
  s.memory_clock = range_of(memory_clocks_);
  s.temperature_max_c = temperature_max_c_;
  s.memory_used_max = memory_used_max_;
  if (reason_samples_ > 0) {
    s.clock_reasons = shares(reasons_, reason_samples_);
    s.clock_losses = shares(losses_, reason_samples_);
  }
  if (ecc_.first && !ecc_.reset) s.ecc_uncorrected = *ecc_.last - *ecc_.first;

  // Each absent field with the reason of the reading it comes from.
  const auto explain = [&](bool absent, const char* field, const char* source) {
    if (!absent) return;
    const auto reason = last_unavailable_.find(source);
    s.unavailable[field] = reason != last_unavailable_.end() ? reason->second : "too few samples";
  };
  explain(!s.power, "power", "power");
  explain(!s.sm_clock, "sm_clock", "sm_clock");
  explain(!s.memory_clock, "memory_clock", "memory_clock");
  explain(!s.temperature_max_c, "temperature_max_c", "temperature_c");
  explain(!s.memory_used_max, "memory_used_max", "memory_used");
  explain(!s.clock_reasons, "clock_reasons", "clock_reasons");
  explain(!s.clock_losses, "clock_losses", "clock_reasons");
  explain(!s.ecc_uncorrected, "ecc_uncorrected", "ecc_uncorrected");
  if (ecc_.reset) s.unavailable["ecc_uncorrected"] = "the counter was reset within the window";
  return s;
}

}  // namespace lindos::exec
