// SPDX-License-Identifier: Apache-2.0
// What is said per GPU adds up to what is said of the run, replica by replica and pool by pool.
#include "sim/serving_device_map.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sim/predict.h"
#include "tests/sim/toy_power.h"
#include "tests/sim/toy_serving_fleet.h"

namespace lindos::sim {
namespace {

struct Predicted {
  RunRecord record;
  std::optional<DeviceMap> map;
  [[nodiscard]] std::vector<float> field(const std::string& quantity) const {
    for (const DeviceField& f : map->fields) {
      if (f.quantity == quantity) return decode_field(f, map->devices());
    }
    return {};
  }
};

Predicted predicted(const Scenario& scenario, Fidelity fidelity) {
  Predicted out;
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = 0;
  options.devices = [&](DeviceMap map) { out.map = std::move(map); };
  out.record = predict(scenario, {{"toy-gpu", toy::toy_gpu_profile()}, {"toy", toy::slow_steps_profile()}}, options);
  return out;
}

// Three replicas of one GPU and two of a pair, on six nodes of two GPUs: 7 of 12 work. Idle 100 W, at most 700 W.
Scenario two_groups() {
  Scenario s = toy::toy_scenario(toy::kLoad, 1);
  s.cluster.pools.front().nodes = 6;
  s.devices.at("toy-gpu").power_idle = Watts{90};
  s.devices.at("toy-gpu").power_max = Watts{700};
  s.plan.groups.front().name = "one";
  s.plan.groups.front().replicas = 3;
  GroupPlan pair = toy::toy_scenario(toy::kLoad, 2).plan.groups.front();
  pair.name = "pair";
  pair.replicas = 2;
  pair.power_limit = Watts{400};
  s.plan.groups.push_back(pair);
  s.workload.serving.requests = 100;
  return s;
}

TEST(ServingDeviceMap, PowerOfDevicesAddsUpToThatOfTheRun) {
  for (const Fidelity fidelity : {Fidelity::kClosed, Fidelity::kMaxplus}) {
    const Predicted p = predicted(two_groups(), fidelity);
    ASSERT_TRUE(p.map);
    const std::vector<float> power = p.field("power_w"), limit = p.field("power_limit_w");
    ASSERT_EQ(power.size(), 12u);
    double sum = 0.0;
    for (std::size_t d = 0; d < 7; ++d) sum += static_cast<double>(power[d]);
    EXPECT_NEAR(sum / p.record.metrics.at("power_w").p50, 1.0, 1e-6);
    EXPECT_GT(power[0], 100.0F);
    EXPECT_FLOAT_EQ(power[0], power[2]);
    EXPECT_FLOAT_EQ(power[3], power[6]);
    EXPECT_FLOAT_EQ(power[7], 90.0F);  // of the catalogue: nothing runs there
    EXPECT_FLOAT_EQ(limit[0], 700.0F);
    EXPECT_FLOAT_EQ(limit[3], 400.0F);
    EXPECT_TRUE(std::isnan(limit[7]));
  }
}

TEST(ServingDeviceMap, ReplicasFollowEachOther) {
  const Predicted p = predicted(two_groups(), Fidelity::kClosed);
  ASSERT_TRUE(p.map);
  EXPECT_EQ(p.map->stages, (std::vector<PlacedStage>{{"one", 0, 0, 0, 1, 1, 3}, {"pair", 0, 0, 3, 2, 2, 2}}));
  EXPECT_TRUE(p.map->steps.empty());
}

// Ranks on a host share it: there is no device to name.
TEST(ServingDeviceMap, IsAbsentForHosts) {
  EXPECT_FALSE(predicted(toy::fleet_scenario(1, 2), Fidelity::kClosed).map);
}

}  // namespace
}  // namespace lindos::sim
