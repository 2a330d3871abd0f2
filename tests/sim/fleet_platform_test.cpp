// SPDX-License-Identifier: Apache-2.0
// Flows through the tiers take what the hand calculation says.
#include "sim/fleet_platform.h"

#include <cstring>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sim/isolated.h"
#include "tests/sim/toy_fleet.h"

namespace lindos::sim {
namespace {

namespace sg = simgrid::s4u;

struct Flow {
  std::int64_t from = 0;
  std::int64_t to = 0;
};

// When flows of 1 GB each, all started at 0, end.
std::vector<double> end_times(const toy::Fleet& fleet, const std::vector<Flow>& flows,
                              const std::vector<NicBundle>& bundles = {}) {
  const std::string bytes = run_isolated([&] {
    const FleetTopology topology(fleet.cluster, fleet.devices);
    FleetPlatform platform(topology, bundles, std::vector<bool>(topology.links(), true));
    std::vector<double> ends(flows.size());
    int delivered = 0;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      const std::string name = std::to_string(i);
      sg::Actor::create("from", platform.host(flows[i].from),
                        [&, name] { sg::Mailbox::by_name(name)->put(&delivered, 1'000'000'000); });
      sg::Actor::create("to", platform.host(flows[i].to), [&, name, i] {
        sg::Mailbox::by_name(name)->get<int>();
        ends[i] = sg::Engine::get_clock();
      });
    }
    platform.run();
    return std::string(reinterpret_cast<const char*>(ends.data()), ends.size() * sizeof(double));
  });
  std::vector<double> ends(flows.size());
  EXPECT_EQ(bytes.size(), ends.size() * sizeof(double));
  std::memcpy(ends.data(), bytes.data(), bytes.size());
  return ends;
}

// Four ports at 3 : 1: three nodes below a leaf with one cable up; four leaves and more make pods
// of two spines' ports. NICs run at 10 GB/s: 1 GB takes 0.1 s alone.
toy::Fleet tree(double leaf, double spine) {
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", 4, 1, leaf, spine);
  toy::add_pool(fleet, "p", 16, 1);
  return fleet;
}

TEST(FleetPlatform, NeighboursBelowOneLeafDoNotMeetOthers) {
  const auto ends = end_times(tree(3.0, 1.0), {{0, 1}, {1, 2}, {2, 0}});
  for (const double end : ends) EXPECT_NEAR(end, 0.1, 1e-9);
}

TEST(FleetPlatform, TwoFlowsUpOneCableTakeTwiceAsLong) {
  const auto ends = end_times(tree(3.0, 1.0), {{0, 3}, {1, 6}, {9, 10}});
  EXPECT_NEAR(ends[0], 0.2, 1e-9);
  EXPECT_NEAR(ends[1], 0.2, 1e-9);
  EXPECT_NEAR(ends[2], 0.1, 1e-9);
}

// Spines at 3 : 1 have one cable up: pods of three leaves, two cables each towards the core. Six
// nodes send to another pod over two cables: 0.3 s.
TEST(FleetPlatform, APodSharesItsCablesToTheCore) {
  const auto ends = end_times(tree(1.0, 3.0), {{0, 6}, {1, 7}, {2, 8}, {3, 9}, {4, 10}, {5, 11}});
  for (const double end : ends) EXPECT_NEAR(end, 0.3, 1e-9);
}

TEST(FleetPlatform, ABundleHasTheNicsOfItsNodes) {
  // Both ends drive two NICs: 20 GB/s.
  EXPECT_NEAR(end_times(tree(1.0, 1.0), {{0, 2}}, {{0, 2}, {2, 2}})[0], 0.05, 1e-9);
}

}  // namespace
}  // namespace lindos::sim
