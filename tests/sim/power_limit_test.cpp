// SPDX-License-Identifier: Apache-2.0
#include "sim/power_limit.h"

#include <cmath>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

#include "scenarios/error.h"
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

// A group of `replicas` devices.
GroupPlan group_of(std::int64_t replicas, Watts power_limit = Watts{0}) {
  GroupPlan group;
  group.replicas = replicas;
  group.power_limit = power_limit;
  group.stages = {{{0, 1}, {{"pool", {}, 0}}}};
  return group;
}

// As a training job counts them: devices of the plan, and what all others may draw, which work as well.
double limit(const Scenario& s) { return device_limits(s, OtherDevices::kWork).others.at("pool").value(); }

// One node: 5.6 + 2.8 kW; of devices held to 400 W 3.2 + 2.8 kW. All 100 under the site's cap: the cap.
TEST(PowerLimit, APlanDrawsWhatItsDevicesAndHostsDraw) {
  const auto drawn = [](Scenario s, std::int64_t devices) {
    s.plan.groups = {group_of(devices)};
    return plan_power(s, device_limits(s, OtherDevices::kWork)).value();
  };
  EXPECT_NEAR(drawn(scenario_with(Watts{0}), 8), 1.25 * 8400.0, 1.0);
  EXPECT_NEAR(drawn(scenario_with(Watts{0}, Watts(400)), 8), 1.25 * 6000.0, 1.0);
  EXPECT_NEAR(drawn(scenario_with(Watts(0.75e6)), 800), 0.75e6, 1.0);
}

TEST(PowerLimit, NoCapBindsNothing) {
  for (const Watts cap : {Watts{0}, Watts(2e6)}) {
    const Scenario s = scenario_with(cap);
    EXPECT_EQ(limit(s), 700.0);
  }
  EXPECT_EQ(clock_under(scenario_with(Watts{0}).devices.at("gpu"), Watts(700)), 1.0);
}

// 0.75 MW / 1.25 = 600 kW; hosts 280 kW and idle devices 80 kW leave 240 kW of 480 kW dynamic: half, 400 W each.
TEST(PowerLimit, TheSiteCapIsSharedByDynamicPower) {
  const Scenario s = scenario_with(Watts(0.75e6));
  EXPECT_NEAR(limit(s), 400.0, 1e-9);
  // The clock is the root of the dynamic share.
  EXPECT_NEAR(clock_under(s.devices.at("gpu"), Watts(400)), std::sqrt(0.5), 1e-12);
}

// 100 of the 800 devices are held to 300 W: 200 of 600 W dynamic. 20 + 420 kW, and 240 kW are left: 6/11.
TEST(PowerLimit, WhatOneGroupGivesUpIsLeftForTheOthers) {
  Scenario s = scenario_with(Watts(0.75e6));
  s.plan.groups = {group_of(100, Watts(300)), group_of(50)};
  const DeviceLimits limits = device_limits(s, OtherDevices::kWork);
  const double share = 240.0 / (20.0 + 420.0);
  EXPECT_NEAR(limits.groups[0].at("pool").value(), 100.0 + 200.0 * share, 1e-9);
  EXPECT_NEAR(limits.groups[1].at("pool").value(), 100.0 + 600.0 * share, 1e-9);
  EXPECT_NEAR(limits.others.at("pool").value(), 100.0 + 600.0 * share, 1e-9);
  // The least of the group's and the scenario's own counts; nothing else binds.
  s.cluster.power.site_cap = Watts{0};
  s.cluster.power.device_cap = Watts(250);
  EXPECT_EQ(device_limits(s, OtherDevices::kWork).groups[0].at("pool").value(), 250.0);
  s.cluster.power.device_cap = Watts(350);
  EXPECT_EQ(device_limits(s, OtherDevices::kWork).groups[0].at("pool").value(), 300.0);
}

// 280 + 80 kW of 400 kW with everything at work: 40 of 480 kW are left. 24 kW would be the least; of 20 kW no clock works.
TEST(PowerLimit, ACapThatLeavesTooLittleIsRefused) {
  EXPECT_NEAR(limit(scenario_with(Watts(1.25 * 400e3))), 100.0 + 600.0 * 40.0 / 480.0, 1e-9);
  try {
    (void)limit(scenario_with(Watts(1.25 * 380e3)));
    FAIL() << "expected a refusal";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("the site's cap of 475 kW"), std::string::npos) << e.what();
  }
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
