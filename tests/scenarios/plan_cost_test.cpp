// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_cost.h"

#include <gtest/gtest.h>

namespace lindos {
namespace {

// 3 devices at 2 $/h, 1 at 4 $/h and 10 kW at 0.1 $/kWh: 6 + 4 + 1 = 11 $/h. 1,000 token/s are 3.6 million an hour.
TEST(PlanCost, DevicesAndEnergyByTheHour) {
  Cluster cluster;
  cluster.pools.resize(3);
  cluster.pools[0].device_price = DollarsPerSecond{2.0 / 3600.0};
  cluster.pools[2].device_price = DollarsPerSecond{4.0 / 3600.0};
  cluster.power.energy_price = DollarsPerJoule{0.1 / 3.6e6};
  const auto cost = plan_cost(cluster, {3, 0, 1}, Watts{10e3});
  ASSERT_TRUE(cost);
  EXPECT_NEAR(cost->value() * 3600.0, 11.0, 1e-12);
  EXPECT_NEAR(dollars_per_million_tokens(*cost, 1000.0), 11.0 / 3.6, 1e-12);
  // The second pool has no price.
  EXPECT_FALSE(plan_cost(cluster, {3, 1, 1}, Watts{10e3}));
  cluster.power.energy_price = DollarsPerJoule{0};
  EXPECT_NEAR(plan_cost(cluster, {3, 0, 1}, Watts{10e3})->value() * 3600.0, 10.0, 1e-12);
}

}  // namespace
}  // namespace lindos
