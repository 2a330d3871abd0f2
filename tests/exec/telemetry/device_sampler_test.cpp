// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_sampler.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

// A device whose clock the test owns: each reading lasts one second and 500 J.
struct FakeDevice {
  std::atomic<int> readings{0};
  DeviceSampler::Read read = [this] {
    const int n = ++readings;
    DeviceReading r;
    r.energy = Joules{500.0 * n};
    r.power = Watts{1.0};
    return r;
  };
  DeviceSampler::Now now = [this] { return Seconds{static_cast<double>(readings.load())}; };

  void wait_for(int count) const {
    while (readings < count) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
};

TEST(DeviceSampler, SamplesBetweenStartAndStop) {
  FakeDevice device;
  DeviceSampler sampler(device.read, Seconds{0.001}, device.now);
  sampler.start();
  device.wait_for(10);
  const DeviceSummary s = sampler.stop();
  const int readings = device.readings;
  EXPECT_EQ(s.samples, static_cast<std::size_t>(readings));
  EXPECT_EQ(s.window, Seconds{readings - 1.0});
  EXPECT_EQ(s.power, (MeasuredPower{Watts{500}, Joules{500.0 * (readings - 1)}, PowerSource::kEnergyCounter}));
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(device.readings, readings);
}

TEST(DeviceSampler, HasTheEndsOfAWindowShorterThanItsPeriod) {
  FakeDevice device;
  DeviceSampler sampler(device.read, Seconds{3600}, device.now);
  sampler.start();
  EXPECT_EQ(device.readings, 1);
  EXPECT_EQ(sampler.stop().samples, 2u);
}

TEST(DeviceSampler, StartsEachWindowAfresh) {
  FakeDevice device;
  DeviceSampler sampler(device.read, Seconds{3600}, device.now);
  for (int i = 0; i < 3; ++i) {
    sampler.start();
    const DeviceSummary s = sampler.stop();
    EXPECT_EQ(s.samples, 2u);
    EXPECT_EQ(s.window, Seconds{1});
    EXPECT_EQ(s.power->source, PowerSource::kPowerSamples);   // a second is too short for the counter
  }
}

TEST(DeviceSampler, StopsWhenItGoesWithoutStop) {
  FakeDevice device;
  {
    DeviceSampler sampler(device.read, Seconds{0.001}, device.now);
    sampler.start();
    device.wait_for(3);
  }
  const int readings = device.readings;
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(device.readings, readings);
}

TEST(DeviceSampler, MeasuresTheRealClock) {
  DeviceSampler sampler([] { return DeviceReading{}; }, Seconds{0.002});
  sampler.start();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const DeviceSummary s = sampler.stop();
  EXPECT_GE(s.window, Seconds{0.020});
  EXPECT_GE(s.samples, 3u);
  EXPECT_EQ(s.power, std::nullopt);
}

}  // namespace
}  // namespace lindos::exec
