// SPDX-License-Identifier: Apache-2.0
#include "sim/training/pass_messages.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/sim/toy_fleet.h"
#include "tests/sim/training/toy_fleet_job.h"

namespace lindos::sim {
namespace {

using toy::fleet_job;

// Names of the pools that a job's messages could fill.
std::vector<std::string> contended(const TrainingJob& job, const toy::Fleet& fleet) {
  const FleetTopology topology(fleet.cluster, fleet.devices);
  const Placement placement(job, topology);
  const std::vector<bool> pools =
      contended_pools(job, placement, exchange_rings(job, placement, {}));
  std::vector<std::string> names;
  for (LinkId link = 0; link < topology.links(); ++link) {
    if (pools[link]) names.push_back(topology.name(link));
  }
  return names;
}

// `down` nodes of one NIC below a leaf with `up` cables.
toy::Fleet leaves(std::int64_t nodes, int down, int up) {
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", down + up, 1, static_cast<double>(down) / up);
  toy::add_pool(fleet, "p", nodes, 1);
  return fleet;
}

// Replicas of two stages, two to a leaf: both rings leave each leaf, two NICs over one cable.
TEST(ContendedPools, RingsThatLeaveALeafTogether) {
  const TrainingJob job =
      fleet_job({.replicas = 4, .stages = 2, .reduce = 1e9, .gather = 1e9, .exchange = 1.0});
  using Names = std::vector<std::string>;
  EXPECT_EQ(contended(job, leaves(8, 4, 1)),
            (Names{"leaf-up of leaf group 0 (pool p)", "leaf-up of leaf group 1 (pool p)",
                   "leaf-down of leaf group 0 (pool p)", "leaf-down of leaf group 1 (pool p)"}));
  EXPECT_EQ(contended(job, leaves(8, 4, 2)), Names{});
}

// Three stages of one replica on two leaves of two nodes: the middle stage alone crosses, with both
// of its messages, and never with more than its one NIC, whatever its path was priced at.
TEST(ContendedPools, ASenderHasNoMoreThanItsNics) {
  const TrainingJob job = fleet_job({.replicas = 1, .stages = 3, .message = 1e9, .wire = 1e12});
  EXPECT_TRUE(contended(job, leaves(3, 2, 1)).empty());
}

TEST(ContendedPools, OnlyReplicasThatCrossAreConcerned) {
  const TrainingJob job = fleet_job(
      {.replicas = 4, .stages = 3, .message = 1e9, .reduce = 1e9, .gather = 1e9, .exchange = 1.0});
  // Four nodes below a leaf: replica 0 has three, replica 1 one and two, replica 2 two and one.
  const toy::Fleet fleet = leaves(12, 4, 1);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  const Placement placement(job, topology);
  const std::vector<bool> pools =
      contended_pools(job, placement, exchange_rings(job, placement, {}));
  EXPECT_EQ(contended_replicas(pools, job, placement, 0),
            (std::vector<bool>{false, true, true, false}));
  // Pairs that share experts run together.
  TrainingJob pairs = job;
  pairs.groups[0].expert_replicas = 2;
  EXPECT_EQ(contended_replicas(pools, pairs, placement, 0), std::vector<bool>(4, true));
}

// Experts of three replicas out of seven: 0 to 2, 3 to 5, and 6 alone; two nodes share a scale-up
// domain.
TEST(ExpertPeers, AreTheOtherReplicasBeyondTheDomain) {
  TrainingJob job = fleet_job({.replicas = 7, .expert_message = 1e6});
  job.groups[0].expert_replicas = 3;
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", 64, 1);
  toy::add_pool(fleet, "p", 7, 1, 0, 0, 2);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  const Placement placement(job, topology);
  using Peers = std::vector<std::int64_t>;
  EXPECT_EQ(expert_peers(job, placement, 0, 0, 0), (Peers{2}));
  EXPECT_EQ(expert_peers(job, placement, 0, 3, 0), (Peers{4, 5}));
  EXPECT_EQ(expert_peers(job, placement, 0, 5, 0), (Peers{3}));
  EXPECT_EQ(expert_peers(job, placement, 0, 6, 0), Peers{});
}

// Backward messages use the path of the stage that they go to, priced for the sender's ranks.
TEST(Wires, FollowThePricesOfTheJob) {
  TrainingJob job = fleet_job({.stages = 3, .devices = 2});
  GroupJob& group = job.groups[0];
  group.stages[0].next = {BytesPerSecond(1e9), Seconds(1e-6), ""};
  group.stages[1].next = {BytesPerSecond(2e9), Seconds(2e-6), ""};
  group.stages[2].next = {BytesPerSecond(3e9), Seconds(3e-6), ""};
  const Wire forward = wire_of(group, 1, false);
  EXPECT_EQ(forward.to, 2U);
  EXPECT_DOUBLE_EQ(forward.rate.value(), 4e9);
  const Wire backward = wire_of(group, 1, true);
  EXPECT_EQ(backward.to, 0U);
  EXPECT_DOUBLE_EQ(backward.rate.value(), 2e9);
  EXPECT_DOUBLE_EQ(backward.start_up.count(), 1e-6);
  EXPECT_EQ(wire_of(group, 2, false).to, 0U);
  EXPECT_EQ(wire_of(group, 0, true).to, 2U);
}

}  // namespace
}  // namespace lindos::sim
