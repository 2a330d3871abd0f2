// SPDX-License-Identifier: Apache-2.0
// What GPUs drew and how hot they became is said of the GPUs that were sampled, and of no other.
#include "scenarios/measured_device_map.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>


namespace lindos {
namespace {

std::vector<float> field(const DeviceMap& map, const std::string& quantity) {
  for (const DeviceField& f : map.fields) {
    if (f.quantity == quantity) return decode_field(f, map.devices());
  }
  return {};
}

// Two pools of one node with two devices each; the plan lies in the second one.
Scenario two_pools() {
  Scenario s;
  s.name = "two pools";
  s.devices["a"].label = "A";
  for (const char* name : {"first", "second"}) {
    Pool pool;
    pool.name = name;
    pool.node.device = "a";
    pool.node.devices = 2;
    pool.nodes = 1;
    s.cluster.pools.push_back(pool);
  }
  GroupPlan group;
  group.stages = {{}};
  group.stages.front().ranks = {{}};
  group.stages.front().ranks.front().pool = "second";
  s.plan.groups = {group};
  return s;
}

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

TEST(MeasuredDeviceMap, TakesMeanPowerAndHighestTemperature) {
  RunSamples samples;
  samples.series = {{"run", "cpu_busy", "", {{0.5F, 0.5F}}},
                    {"gpu 1", "power_w", "", {{0.5F, 300.0F}, {1.0F, kNone}, {1.5F, 400.0F}}},
                    {"gpu 1", "temperature_c", "", {{0.5F, 61.0F}, {1.0F, 64.0F}, {1.5F, 63.0F}}},
                    {"gpu 0", "power_w", "not supported", {}},
                    {"gpu 7", "power_w", "", {{0.5F, 100.0F}}},  // of no device of the pool
                    {"gpu x", "power_w", "", {{0.5F, 100.0F}}}};
  const auto map = measured_device_map(two_pools(), samples);
  ASSERT_TRUE(map);
  validate_device_map(*map, "test");
  const std::vector<float> power = field(*map, "power_w"), temperature = field(*map, "temperature_c");
  ASSERT_EQ(power.size(), 4u);
  EXPECT_FLOAT_EQ(power[3], 350.0F);
  EXPECT_FLOAT_EQ(temperature[3], 64.0F);
  for (const std::size_t other : {0u, 1u, 2u}) {
    EXPECT_TRUE(std::isnan(power[other]));
    EXPECT_TRUE(std::isnan(temperature[other]));
  }
}

TEST(MeasuredDeviceMap, IsAbsentWithoutAGpu) {
  RunSamples samples;
  samples.series = {{"gpu", "power_w", "the run computes on the CPU", {}}};
  EXPECT_FALSE(measured_device_map(two_pools(), samples));
}

}  // namespace
}  // namespace lindos
