// SPDX-License-Identifier: Apache-2.0
#include "sim/power_limit.h"

#include <cmath>

#include <gtest/gtest.h>

#include "sim/training/time_split.h"

namespace lindos::sim {
namespace {

// 100 nodes of 8 devices: 700 W at most, 100 W idle, 10.2 kW nameplate: 5.6 kW devices + 4.6 kW others.
Scenario scenario_with(Watts site_cap, Watts device_cap = Watts{0}) {
  Scenario s;
  Device device;
  device.name = "gpu";
  device.power_max = Watts(700);
  device.power_idle = Watts(100);
  s.devices["gpu"] = device;
  Pool pool;
  pool.name = "pool";
  pool.node.device = "gpu";
  pool.node.devices = 8;
  pool.node.power_max = Watts(10200);
  pool.nodes = 100;
  s.cluster.pools = {pool};
  s.cluster.power.pue = 1.25;
  s.cluster.power.site_cap = site_cap;
  s.cluster.power.device_cap = device_cap;
  return s;
}

// 100 × (5.6 + 2.8 kW) × 1.25 = 1.05 MW.
TEST(PowerLimit, DemandCountsDevicesHostsAndCooling) {
  EXPECT_NEAR(site_demand(scenario_with(Watts{0})).value(), 1.05e6, 1.0);
  EXPECT_NEAR(site_demand(scenario_with(Watts{0}, Watts(400))).value(), 1.25 * 100 * (3200 + 2800), 1.0);
}

TEST(PowerLimit, NoCapBindsNothing) {
  for (const Watts cap : {Watts{0}, Watts(2e6)}) {
    const Scenario s = scenario_with(cap);
    EXPECT_EQ(device_limit(s, s.cluster.pools[0]).value(), 700.0);
  }
  EXPECT_EQ(clock_under(scenario_with(Watts{0}).devices.at("gpu"), Watts(700)), 1.0);
}

// 0.75 MW / 1.25 = 600 kW; hosts 280 kW and idle devices 80 kW leave 240 kW of 480 kW dynamic: half, 400 W each.
TEST(PowerLimit, TheSiteCapIsSharedByDynamicPower) {
  const Scenario s = scenario_with(Watts(0.75e6));
  EXPECT_NEAR(device_limit(s, s.cluster.pools[0]).value(), 400.0, 1e-9);
  // The clock is the root of the dynamic share.
  EXPECT_NEAR(clock_under(s.devices.at("gpu"), Watts(400)), std::sqrt(0.5), 1e-12);
}

TEST(PowerLimit, OnlyArithmeticSlowsDown) {
  TimeSplit split;
  split.add(Cause::kUseful, Seconds(2.0));
  split.add(Cause::kKernelInefficiency, Seconds(1.0));
  split.add(Cause::kMemoryBound, Seconds(4.0));
  split.add(Cause::kExposedTensor, Seconds(5.0));
  const TimeSplit slowed = split.at_clock(0.5);
  EXPECT_NEAR(slowed.of(Cause::kPowerCap).count(), 3.0, 1e-12);
  EXPECT_NEAR(slowed.total().count(), 15.0, 1e-12);
  EXPECT_EQ(split.at_clock(1.0), split);
}

}  // namespace
}  // namespace lindos::sim
