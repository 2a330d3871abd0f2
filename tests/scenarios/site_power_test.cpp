// SPDX-License-Identifier: Apache-2.0
#include "scenarios/site_power.h"

#include <gtest/gtest.h>

#include "data/catalogue.h"

namespace lindos {
namespace {

// By hand: 18,750 and 6,250 nodes of 10.2 kW and 5,000 trays of 6.667 kW are 191.25 + 63.75 + 33.335 MW; × PUE 1.1.
TEST(SitePower, ColossusIsAboveItsCapByNameplate) {
  const SitePower site = site_power(
      load_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml", load_catalogue(default_catalogue_dir())));
  ASSERT_EQ(site.pools.size(), 3u);
  EXPECT_NEAR(site.pools[0].nameplate.value(), 191.25e6, 1.0);
  EXPECT_NEAR(site.nameplate().value(), 288.335e6, 1.0);
  EXPECT_NEAR(site.at_meter(site.nameplate()).value(), 317.1685e6, 1.0);
  EXPECT_DOUBLE_EQ(site.limits.site_cap.value(), 300e6);
  // At rest: 25,000 nodes of 2.4 kW and 5,000 of 1 kW.
  EXPECT_NEAR(site.idle().value(), 65e6, 1.0);
  EXPECT_TRUE(site.pools[2].whole_nodes);
}

TEST(SitePower, WithoutNodesTheDevicesCount) {
  Scenario scenario;
  scenario.devices["d"].power_max = Watts(700);
  scenario.devices["d"].power_idle = Watts(70);
  Pool pool;
  pool.name = "p";
  pool.node.device = "d";
  pool.node.devices = 8;
  pool.nodes = 2;
  scenario.cluster.pools = {pool};
  const SitePower site = site_power(scenario);
  EXPECT_DOUBLE_EQ(site.nameplate().value(), 16 * 700.0);
  EXPECT_DOUBLE_EQ(site.idle().value(), 16 * 70.0);
  EXPECT_FALSE(site.pools.front().whole_nodes);
}

}  // namespace
}  // namespace lindos
