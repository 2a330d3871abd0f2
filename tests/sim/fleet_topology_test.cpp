// SPDX-License-Identifier: Apache-2.0
// Golden counts: the SuperPOD table and the Colossus 1 figures of the modelling handbook §10; small
// fabrics by hand.
#include "sim/fleet_topology.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "tests/sim/toy_fleet.h"

namespace lindos::sim {
namespace {

using toy::add_pool;
using toy::fat_tree;
using toy::Fleet;

std::vector<std::string> names(const FleetTopology& fleet, std::int64_t from, std::int64_t to) {
  std::vector<std::string> out;
  for (const LinkId link : fleet.path(from, to)) out.push_back(fleet.name(link));
  return out;
}

// NVIDIA's table for 8-GPU nodes, units of 32 nodes and 64-port switches. All rails meet in one
// plane.
TEST(FleetTopology, SuperPodTable) {
  struct Row {
    std::int64_t units;
    SwitchCount count;
  };
  const Row rows[] = {
      {2, {16, 8, 0, 512, 512, 0}},
      {4, {32, 16, 0, 1024, 1024, 0}},
      {8, {64, 32, 0, 2048, 2048, 0}},
      {16, {128, 128, 64, 4096, 4096, 4096}},
      {32, {256, 256, 128, 8192, 8192, 8192}},
      {64, {512, 512, 256, 16384, 16384, 16384}},
  };
  for (const Row& row : rows) {
    Fleet fleet = fat_tree("rail-fat-tree", 64, 1);
    add_pool(fleet, "dgx", 32 * row.units, 8, 4, 8);
    const FleetTopology topology(fleet.cluster, fleet.devices);
    EXPECT_EQ(topology.count(), row.count) << row.units << " units";
    EXPECT_EQ(topology.groups(), row.units);
  }
}

Fleet colossus1(const std::string& kind, int planes, bool with_blackwell) {
  Fleet fleet = fat_tree(kind, 128, planes);
  add_pool(fleet, "h100", 18750, 8, 8, 8, 8);
  add_pool(fleet, "h200", 6250, 8, 8, 8, 8);
  if (with_blackwell) add_pool(fleet, "gb200", 5000, 4, 18, 8, 72);
  return fleet;
}

// 200,000 Hopper NICs: 64 down ports serve 64 nodes on a rail, so an array of 512 GPUs has 8
// leaves; 293 + 98 arrays, two of them partial; cores 3,128 · 64 / 128.
TEST(FleetTopology, HopperHallsOfColossus1) {
  const Fleet fleet = colossus1("rail-fat-tree", 1, false);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.groups(), 391);
  EXPECT_EQ(topology.count().leaves, 3128);
  EXPECT_EQ(topology.count().spines, 3128);
  EXPECT_EQ(topology.count().cores, 1564);
  EXPECT_EQ(topology.count().node_leaf_cables, 200000);
  // Leaves of the partial arrays are cabled in full: 3,128 · 64.
  EXPECT_EQ(topology.count().leaf_spine_cables, 200192);
  const PoolTopology& h100 = topology.pools()[0];
  EXPECT_EQ(h100.racks, (Tally{2343, 6}));   // 48 GPUs
  EXPECT_EQ(h100.arrays, (Tally{292, 62}));  // 496 GPUs
  const PoolTopology& h200 = topology.pools()[1];
  EXPECT_EQ(h200.racks, (Tally{781, 2}));   // 16 GPUs
  EXPECT_EQ(h200.arrays, (Tally{97, 42}));  // 336 GPUs
}

// Eight separate planes: the same leaves and spines; a plane's 391 · 64 up-links take 195.5 cores,
// so each plane has half a core more than in one plane.
TEST(FleetTopology, SeparatePlanesRoundUpTheirCores) {
  const Fleet fleet = colossus1("ethernet-fat-tree", 8, false);
  const SwitchCount count = FleetTopology(fleet.cluster, fleet.devices).count();
  EXPECT_EQ(count.leaves, 3128);
  EXPECT_EQ(count.spines, 3128);
  EXPECT_EQ(count.cores, 8 * 196);
}

// 5,000 trays: 277 racks and 14 trays, 34 units of 8 racks and 104 trays. With four NICs on eight
// planes a tray sits on every other plane, so a leaf group could hold 128 trays, 7 whole racks; a
// unit of 8 racks is cut in two.
TEST(FleetTopology, BlackwellRacksStayWhole) {
  const Fleet fleet = colossus1("ethernet-fat-tree", 8, true);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.nodes(), 30000);
  const PoolTopology& gb200 = topology.pools()[2];
  EXPECT_EQ(gb200.racks, (Tally{277, 14}));
  EXPECT_EQ(gb200.domains, (Tally{277, 14}));
  EXPECT_EQ(gb200.arrays, (Tally{34, 104}));
  EXPECT_EQ(gb200.nodes_per_group, 72);
  EXPECT_EQ(gb200.groups, 34 * 2 + 2);
  const std::int64_t first = gb200.first_node;
  EXPECT_TRUE(topology.same_domain(first, first + 17));
  EXPECT_FALSE(topology.same_domain(first + 17, first + 18));
  EXPECT_EQ(topology.group_of(first + 71), gb200.first_group);
  EXPECT_EQ(topology.group_of(first + 72), gb200.first_group + 1);
  EXPECT_EQ(topology.group_of(first + 144), gb200.first_group + 2);
  EXPECT_EQ(topology.group_of(29999), topology.groups() - 1);
}

// Four-port switches, one plane, one NIC per node: two nodes under a leaf, two leaves in a pod
// (spines have two ports down), 16 nodes = 8 leaves = 4 pods.
Fleet small_tree(double leaf = 1.0, double spine = 1.0, int ports = 4) {
  Fleet fleet = fat_tree("rail-fat-tree", ports, 1, leaf, spine);
  add_pool(fleet, "p", 16, 1);
  return fleet;
}

TEST(FleetTopology, AMessageClimbsAsFarAsItMust) {
  const Fleet fleet = small_tree();
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.count(), (SwitchCount{8, 8, 4, 16, 16, 16}));
  EXPECT_EQ(topology.pods(), 4);
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(topology, 0, 1),
            (Names{"nic-up of node 0 (pool p)", "nic-down of node 1 (pool p)"}));
  EXPECT_EQ(names(topology, 0, 2),
            (Names{"nic-up of node 0 (pool p)", "leaf-up of leaf group 0 (pool p)",
                   "leaf-down of leaf group 1 (pool p)", "nic-down of node 2 (pool p)"}));
  EXPECT_EQ(names(topology, 0, 15),
            (Names{"nic-up of node 0 (pool p)", "leaf-up of leaf group 0 (pool p)",
                   "spine-up of pod 0 (pool p)", "spine-down of pod 3 (pool p)",
                   "leaf-down of leaf group 7 (pool p)", "nic-down of node 15 (pool p)"}));
  EXPECT_TRUE(names(topology, 3, 3).empty());
}

// Eight ports at 3 : 1 are six down and two up; twelve at 2 : 1 eight down and four up. Efficiency
// counts everywhere.
TEST(FleetTopology, OversubscriptionAndEfficiencyShrinkThePools) {
  Fleet fleet = small_tree(3.0, 1.0, 8);
  fleet.cluster.fabric.efficiency = 0.5;
  const FleetTopology leaf(fleet.cluster, fleet.devices);
  const FleetPath path = leaf.path(0, 15);
  EXPECT_EQ(leaf.groups(), 3);  // 6 + 6 + 4 nodes
  EXPECT_DOUBLE_EQ(leaf.capacity(path.links[0]).value(), 5e9);
  EXPECT_DOUBLE_EQ(leaf.capacity(path.links[1]).value(), 2 * 5e9);

  // Four ports, spine 3 : 1 = 3 down, 1 up: 8 leaves of 2 up-links; pods of 3 leaves have 2 spines
  // with one up-link each; the last pod, of 2 leaves, ceil(4 / 3) = 2 as well.
  const Fleet tall = small_tree(1.0, 3.0);
  const FleetTopology spine(tall.cluster, tall.devices);
  EXPECT_EQ(spine.pods(), 3);
  EXPECT_EQ(spine.count().spines, 6);
  EXPECT_EQ(spine.count().cores, 2);  // 6 up-links on 4 ports
  EXPECT_DOUBLE_EQ(spine.capacity(spine.path(0, 15).links[2]).value(), 2 * 10e9);
}

TEST(FleetTopology, OneLeafNeedsNoSpine) {
  Fleet fleet = fat_tree("ethernet-fat-tree", 8, 1);
  add_pool(fleet, "p", 4, 1);
  EXPECT_EQ(FleetTopology(fleet.cluster, fleet.devices).count(), (SwitchCount{1, 0, 0, 4, 0, 0}));
}

// Without rails a node's four NICs share a leaf of eight ports down: two nodes. With rails each NIC
// has its own leaf: eight nodes.
TEST(FleetTopology, RailsReachFurtherThanOneLeafPerNode) {
  for (const auto& [kind, nodes] :
       {std::pair{"ethernet-fat-tree", 2}, std::pair{"rail-fat-tree", 8}}) {
    Fleet fleet = fat_tree(kind, 16, 1);
    add_pool(fleet, "p", 64, 4);
    const FleetTopology topology(fleet.cluster, fleet.devices);
    EXPECT_EQ(topology.pools()[0].nodes_per_group, nodes) << kind;
  }
}

// 32 nodes of one NIC fit below a leaf of 64 ports: three arrays of 10 nodes.
TEST(FleetTopology, SmallArraysShareALeafGroup) {
  Fleet fleet = fat_tree("rail-fat-tree", 64, 1);
  add_pool(fleet, "p", 45, 1, 5, 2);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.pools()[0].arrays, (Tally{4, 5}));
  EXPECT_EQ(topology.groups(), 2);
  EXPECT_EQ(topology.group_of(29), 0);
  EXPECT_EQ(topology.group_of(30), 1);
}

TEST(FleetTopology, ALinkWithoutBandwidthIsRefusedByName) {
  Fleet fleet = small_tree(1.0, 1.0, 8);
  add_pool(fleet, "dumb", 2, 1);
  fleet.devices["dumb-gpu"].scale_out_bandwidth = BytesPerSecond(0);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.path(0, 1).count, 2U);
  try {
    static_cast<void>(topology.path(0, 17));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("nic-down of node 17 (pool dumb) has no bandwidth"),
              std::string::npos)
        << e.what();
  }
}

TEST(FleetTopology, NoFabricNoWay) {
  Fleet fleet;
  add_pool(fleet, "p", 2, 1);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  try {
    static_cast<void>(topology.path(0, 1));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("kind \"none\""), std::string::npos) << e.what();
  }
}

// Four-port switches: a core joins four pods of two leaves of two nodes, 16 nodes. Eight-port
// switches join eight pods of four leaves of four nodes, 128.
TEST(FleetTopology, TooManyNodesForThreeTiersNameTheNearestSwitch) {
  Fleet fleet = fat_tree("rail-fat-tree", 4, 1);
  add_pool(fleet, "p", 17, 1);
  try {
    static_cast<void>(FleetTopology(fleet.cluster, fleet.devices));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("nearest is switch_ports = 8"), std::string::npos)
        << e.what();
  }
}

TEST(FleetTopology, AMillionDevicesFitFourPlanes) {
  Fleet fleet = fat_tree("rail-fat-tree", 128, 4, 1.0, 2.0);
  add_pool(fleet, "gb300", 250000, 4, 18, 8, 72);
  const FleetTopology topology(fleet.cluster, fleet.devices);
  EXPECT_EQ(topology.pools()[0].racks, (Tally{13888, 16}));
  // 64 down ports hold three racks; 8 racks make groups of 3, 3 and 2.
  EXPECT_EQ(topology.pools()[0].nodes_per_group, 54);
  EXPECT_LE(topology.pods(), 128);
}

bool fits(const Fleet& fleet) {
  try {
    static_cast<void>(FleetTopology(fleet.cluster, fleet.devices));
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Whatever the counts: a leaf group has no more NICs than ports down, groups and pods are numbered
// without gaps along the nodes, a path is as long as the tiers that it crosses and leads back the
// same way.
RC_GTEST_PROP(FleetTopology, NumbersAreConsistent, ()) {
  const int planes = *rc::gen::element(1, 2, 4, 8);
  const int ports = *rc::gen::element(32, 64, 128);
  const double leaf = *rc::gen::element(1.0, 2.0, 3.0);
  Fleet fleet =
      fat_tree(*rc::gen::element(std::string("rail-fat-tree"), std::string("ethernet-fat-tree")),
               ports, planes, leaf);
  const int pools = *rc::gen::inRange(1, 4);
  for (int p = 0; p < pools; ++p) {
    add_pool(fleet, "p" + std::to_string(p), *rc::gen::inRange(1, 300),
             *rc::gen::element(1, 2, 4, 8), *rc::gen::inRange(0, 20), *rc::gen::inRange(0, 9),
             *rc::gen::element(1, 8, 72));
  }
  if (!fits(fleet)) RC_DISCARD("more pods than a core has ports");
  const FleetTopology topology(fleet.cluster, fleet.devices);
  const auto down = static_cast<std::int64_t>(ports * leaf / (1.0 + leaf) + 0.5);
  std::vector<std::int64_t> nodes_of(static_cast<std::size_t>(topology.groups()), 0);
  for (std::int64_t n = 0; n < topology.nodes(); ++n) {
    const std::int64_t group = topology.group_of(n);
    const std::int64_t before = n == 0 ? 0 : topology.group_of(n - 1);
    RC_ASSERT((group == before || group == before + 1));
    ++nodes_of[static_cast<std::size_t>(group)];
  }
  RC_ASSERT(topology.group_of(topology.nodes() - 1) == topology.groups() - 1);
  for (const PoolTopology& pool : topology.pools()) {
    for (std::int64_t g = pool.first_group; g < pool.first_group + pool.groups; ++g) {
      const std::int64_t nodes = nodes_of[static_cast<std::size_t>(g)];
      RC_ASSERT(nodes > 0);
      RC_ASSERT((nodes == 1 || nodes * pool.devices_per_node <= pool.leaves_per_group * down));
    }
  }
  const std::int64_t a = *rc::gen::inRange<std::int64_t>(0, topology.nodes());
  const std::int64_t b = *rc::gen::inRange<std::int64_t>(0, topology.nodes());
  const FleetPath there = topology.path(a, b);
  RC_ASSERT(there.count == topology.path(b, a).count);
  RC_ASSERT((there.count == 0) == topology.same_domain(a, b));
  if (there.count > 0)
    RC_ASSERT((there.count > 2) == (topology.group_of(a) != topology.group_of(b)));
}

}  // namespace
}  // namespace lindos::sim
