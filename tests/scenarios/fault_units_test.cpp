// SPDX-License-Identifier: Apache-2.0
#include "scenarios/fault_units.h"

#include <gtest/gtest.h>

namespace lindos {
namespace {

// The H100 pool of Colossus 1: 18,750 servers of 8, 8 per rack, 8 racks per array, 390 per hall.
Pool servers() {
  Pool pool;
  pool.name = "h100";
  pool.node.device = "h100-sxm";
  pool.node.devices = 8;
  pool.nodes = 18'750;
  pool.nodes_per_rack = 8;
  pool.racks_per_array = 8;
  pool.racks_per_cooling_unit = 2;
  pool.racks_per_hall = 390;
  return pool;
}

Fabric rails() {
  Fabric fabric;
  fabric.kind = "rail-fat-tree";
  fabric.switch_ports = 128;
  fabric.planes = 8;
  return fabric;
}

TEST(FaultUnits, PartialUnitsCount) {
  const Pool pool = servers();
  const Fabric fabric = rails();
  const auto units = [&](FaultScope scope) { return units_of(scope, pool, fabric, pool.nodes); };
  EXPECT_EQ(units(FaultScope::kDevice), 150'000);
  EXPECT_EQ(units(FaultScope::kNode), 18'750);
  EXPECT_EQ(units(FaultScope::kRack), 2'344);         // 2,343 and 6 nodes
  EXPECT_EQ(units(FaultScope::kCoolingUnit), 1'172);  // of 16 nodes: 1,171 and 14 nodes
  EXPECT_EQ(units(FaultScope::kArray), 293);          // of 64 nodes: 292 and 62 nodes
  EXPECT_EQ(units(FaultScope::kHall), 7);             // of 3,120 nodes: 6 and 30 nodes
  // 64 ports down of 128, so 293 leaves in each of 8 planes.
  EXPECT_EQ(nodes_per_unit(FaultScope::kLeaf, pool, fabric), 64);
  EXPECT_EQ(units(FaultScope::kLeaf), 293 * 8);
}

// A tray of 4 GPUs uses 4 of the 8 planes.
TEST(FaultUnits, ANodeIsAttachedToNoMorePlanesThanItHasDevices) {
  Pool trays = servers();
  trays.node.devices = 4;
  trays.nodes = 64;
  EXPECT_EQ(units_of(FaultScope::kLeaf, trays, rails(), trays.nodes), 4);
}

TEST(FaultUnits, AUnitOfUnknownSizeHasNoNodes) {
  Pool pool = servers();
  pool.racks_per_hall = 0;
  EXPECT_EQ(nodes_per_unit(FaultScope::kHall, pool, rails()), 0);
  EXPECT_EQ(nodes_per_unit(FaultScope::kLeaf, pool, Fabric{}), 0);
  EXPECT_EQ(nodes_per_unit(FaultScope::kNode, pool, Fabric{}), 1);
}

TEST(FaultUnits, TheFleetsRateCountsEachClassWhereItOccurs) {
  Cluster cluster;
  cluster.pools = {servers(), servers()};
  cluster.pools[1].name = "h200";
  cluster.pools[1].node.device = "h200-sxm";
  cluster.pools[1].nodes = 6'250;
  cluster.fabric = rails();
  FaultClass gpu;
  gpu.rate = Hertz(1e-9);
  FaultClass rack;
  rack.device = "h200-sxm";
  rack.scope = FaultScope::kRack;
  rack.rate = Hertz(1e-7);
  cluster.faults.classes = {gpu, rack};
  // 200,000 devices and the 782 racks of the second pool.
  EXPECT_NEAR(fleet_fault_rate(cluster).value(), 200'000 * 1e-9 + 782 * 1e-7, 1e-15);
}

}  // namespace
}  // namespace lindos
