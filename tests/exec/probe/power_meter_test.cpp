// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/power_meter.h"

#include <atomic>
#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

// 100 W until the load has run for `settled` bursts, then 420 W.
TEST(PowerMeter, SamplesAfterTheLoadHasSettled) {
  std::atomic<int> bursts{0};
  const auto read = [&] {
    DeviceReading reading;
    reading.power = Watts{bursts >= 5 ? 420.0 : 100.0};
    reading.enforced_power_limit = Watts{700.0};
    return reading;
  };
  const PowerMeter meter(read, Seconds{0.05}, Seconds{0.1});
  EXPECT_EQ(meter.absence(), "");
  EXPECT_EQ(meter.limit(), Watts{700.0});
  const auto steady = meter.measure([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(bursts < 5 ? 11 : 2));
    ++bursts;
  });
  ASSERT_TRUE(steady.has_value());
  EXPECT_NEAR(steady->power.value(), 420.0, 1e-9);
  EXPECT_GE(steady->window, Seconds{0.1});
  // A burst takes 2 ms at least, longer on a busy machine.
  EXPECT_GT(steady->bursts_per_s, 0.0);
  EXPECT_LE(steady->bursts_per_s, 500.0);
}

TEST(PowerMeter, SaysWhyThereIsNoPower) {
  const PowerMeter meter([] { return unavailable_reading("no driver here"); }, Seconds{0.001}, Seconds{0.001});
  EXPECT_EQ(meter.absence(), "no driver here");
  EXPECT_EQ(meter.limit(), Watts{0});
  EXPECT_FALSE(meter.measure([] {}).has_value());
}

}  // namespace
}  // namespace lindos::exec
