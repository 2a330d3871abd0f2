// SPDX-License-Identifier: Apache-2.0
// Samples one GPU from a thread of its own between start() and stop(). The first and the last sample are taken
// by start() and stop() themselves, so that the window is exactly what lies between the two calls.
//
//   DeviceSampler sampler([&] { return device.read(); });
//   sampler.start();  run();  DeviceSummary summary = sampler.stop();
#pragma once

#include <functional>
#include <thread>

#include "exec/telemetry/device_statistics.h"
#include "scenarios/units.h"

namespace lindos::exec {

class DeviceSampler {
 public:
  using Read = std::function<DeviceReading()>;
  using Now = std::function<Seconds()>;

  // 20 samples a second: the power that drivers report changes no faster. `now` gives the time of a sample and
  // does not pace the thread. REQUIRES: `read` and `now` are set, may be called from another thread and do not
  // throw; period > 0.
  explicit DeviceSampler(Read read, Seconds period = Seconds{0.05}, Now now = steady_now);
  // Stops if still running.
  ~DeviceSampler() = default;
  DeviceSampler(const DeviceSampler&) = delete;
  DeviceSampler& operator=(const DeviceSampler&) = delete;

  // REQUIRES: not running.
  void start();
  // REQUIRES: running.
  [[nodiscard]] DeviceSummary stop();

 private:
  static Seconds steady_now();
  void sample();
  void loop(const std::stop_token& stopped);

  Read read_;
  Now now_;
  Seconds period_;
  DeviceStatistics statistics_;   // touched by one thread at a time: start and join hand it over
  std::jthread thread_;
};

}  // namespace lindos::exec
