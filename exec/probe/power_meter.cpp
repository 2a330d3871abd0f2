// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/power_meter.h"

#include <chrono>
#include <utility>

#include "scenarios/error.h"

namespace lindos::exec {

namespace {

using Clock = std::chrono::steady_clock;

// Steps of the energy counter are then known to a hundredth of the window.
constexpr Seconds kPeriod{0.01};

int run_for(Seconds span, const std::function<void()>& burst) {
  const Clock::time_point begin = Clock::now();
  int bursts = 0;
  do {
    burst();
    ++bursts;
  } while (Clock::now() - begin < span);
  return bursts;
}

}  // namespace

PowerMeter::PowerMeter(DeviceSampler::Read read, Seconds settle, Seconds window)
    : read_(std::move(read)), settle_(settle), window_(window) {
  LINDOS_ASSERT(settle_ > Seconds{0} && window_ > Seconds{0}, "power is measured over time");
}

std::string PowerMeter::absence() const {
  const DeviceReading reading = read_();
  if (reading.power || reading.energy) return "";
  const auto reason = reading.unavailable.find("power");
  return reason != reading.unavailable.end() ? reason->second : "the driver does not say";
}

Watts PowerMeter::limit() const { return read_().enforced_power_limit.value_or(Watts{0}); }

std::optional<SteadyPower> PowerMeter::measure(const std::function<void()>& burst) const {
  (void)run_for(settle_, burst);
  DeviceSampler sampler(read_, kPeriod);
  sampler.start();
  const Clock::time_point begin = Clock::now();
  const int bursts = run_for(window_, burst);
  const Seconds took = Clock::now() - begin;
  const DeviceSummary summary = sampler.stop();
  if (!summary.power || summary.power->mean <= Watts{0}) return std::nullopt;
  return SteadyPower{summary.power->mean, static_cast<double>(bursts) / took.count(), took};
}

}  // namespace lindos::exec
