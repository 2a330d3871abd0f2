// SPDX-License-Identifier: Apache-2.0
// Mean board power while one load runs over and over: run long enough that clocks and the driver's averages have
// settled, then sampled. What the probe of a GPU fills Profile::power with.
//
//   PowerMeter meter(telemetry.devices.front());
//   if (const auto steady = meter.measure([&] { run_some(); })) …  // steady->bursts_per_s × work of one = its rate
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "exec/telemetry/device_sampler.h"

namespace lindos::exec {

struct SteadyPower {
  Watts power{0};
  double bursts_per_s = 0.0;
  Seconds window{0};
};

class PowerMeter {
 public:
  // REQUIRES: `read` as for DeviceSampler; both times positive.
  explicit PowerMeter(DeviceSampler::Read read, Seconds settle = Seconds{0.3}, Seconds window = Seconds{0.8});

  // Why the device says nothing of its power; empty where it does.
  [[nodiscard]] std::string absence() const;
  // The limit that the driver enforces; 0 where it does not say.
  [[nodiscard]] Watts limit() const;
  // `burst` does one piece of the load, the same every time, in much less than the window, and returns when it or the
  // piece before it is done. Nothing where power could not be read.
  [[nodiscard]] std::optional<SteadyPower> measure(const std::function<void()>& burst) const;

 private:
  DeviceSampler::Read read_;
  Seconds settle_, window_;
};

}  // namespace lindos::exec
