// SPDX-License-Identifier: Apache-2.0
#include "sim/training/exchange_rings.h"

#include <cstdint>
#include <map>
#include <numeric>
#include <string>

#include <gtest/gtest.h>

#include "tests/sim/toy_fleet.h"
#include "tests/sim/training/toy_fleet_job.h"

namespace lindos::sim {
namespace {

using toy::fleet_job;

// One NIC per node, two nodes per leaf; arrays of four nodes.
toy::Fleet small_fleet(std::int64_t nodes, int devices_per_node = 1, int domain = 1) {
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", 64, 1);
  toy::add_pool(fleet, "p", nodes, devices_per_node, 2, 2, domain);
  return fleet;
}

std::vector<ExchangeRing> rings_of(const TrainingJob& job, const toy::Fleet& fleet,
                                   const StepDraw& draw = {}) {
  const FleetTopology topology(fleet.cluster, fleet.devices);
  return exchange_rings(job, Placement(job, topology), draw);
}

// Four replicas of two stages on eight nodes: ring 0 is nodes 0, 2, 4, 6. Each member sends 3/4 of
// 8 GB and of 4 GB: 9 GB at 10 GB/s. The price is 1.2 s, so 0.3 s are start-up.
TEST(ExchangeRings, FollowThePhysicalOrder) {
  const TrainingJob job =
      fleet_job({.replicas = 4, .stages = 2, .reduce = 8e9, .gather = 4e9, .exchange = 1.2});
  const auto rings = rings_of(job, small_fleet(8));
  ASSERT_EQ(rings.size(), 2U);
  EXPECT_TRUE(rings[0].hidden.empty());
  ASSERT_EQ(rings[0].exposed.size(), 1U);
  const ExchangePhase& phase = rings[0].exposed.front();
  ASSERT_EQ(phase.flows.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(phase.flows[i].from, static_cast<std::int64_t>(2 * i));
    EXPECT_EQ(phase.flows[i].to, static_cast<std::int64_t>(2 * (i + 1) % 8));
    EXPECT_NEAR(phase.flows[i].bytes.value(), 9e9, 1.0);
    EXPECT_NEAR(phase.flows[i].rate.value(), 10e9, 1.0);
  }
  EXPECT_NEAR(phase.alone.count(), 0.9, 1e-12);
  EXPECT_NEAR(phase.start_up.count(), 0.3, 1e-12);
}

// An optimizer that is not sharded gathers the reduced gradients: 2 · 3/4 · 8 GB.
TEST(ExchangeRings, AnAllReduceMovesTheGradientsTwice) {
  const TrainingJob job = fleet_job({.replicas = 4, .reduce = 8e9, .exchange = 2.0});
  EXPECT_NEAR(rings_of(job, small_fleet(4))[0].exposed.front().flows[0].bytes.value(), 12e9, 1.0);
}

// Replicas of one device, four to a node of one scale-up domain: only the last of a node sends
// beyond it, with all four NICs.
TEST(ExchangeRings, NeighboursOnOneNodeSendNoFlow) {
  const TrainingJob job = fleet_job({.replicas = 8, .reduce = 8e9, .gather = 8e9, .exchange = 2.0});
  const auto rings = rings_of(job, small_fleet(2, 4, 4));
  const ExchangePhase& phase = rings[0].exposed.front();
  ASSERT_EQ(phase.flows.size(), 2U);
  EXPECT_NEAR(phase.flows[0].bytes.value(), 14e9, 1.0);  // 7/8 of 16 GB
  EXPECT_NEAR(phase.flows[0].rate.value(), 40e9, 1.0);
}

// Two context ranks hold the same weights: one lane of four ranks in a ring, both NICs of the node.
TEST(ExchangeRings, ContextRanksAreNeighboursInTheRing) {
  TrainingJob job =
      fleet_job({.replicas = 2, .devices = 2, .reduce = 8e9, .gather = 8e9, .exchange = 2.0});
  job.ranks_in_exchange = 4;
  const ExchangePhase phase = rings_of(job, small_fleet(2, 2, 2))[0].exposed.front();
  EXPECT_NEAR(phase.flows[0].bytes.value(), 12e9, 1.0);  // 3/4 of 16 GB
  EXPECT_NEAR(phase.flows[0].rate.value(), 20e9, 1.0);
}

// A NIC at half its rate slows the flows into and out of its node; the price is stretched as in
// step_tail.
TEST(ExchangeRings, ASlowLinkSlowsItsNeighbours) {
  const TrainingJob job = fleet_job({.replicas = 4, .reduce = 8e9, .gather = 8e9, .exchange = 1.2});
  StepDraw draw;
  draw.link = {{1.0F, 2.0F, 1.0F, 1.0F}};
  const ExchangePhase phase = rings_of(job, small_fleet(4), draw)[0].exposed.front();
  EXPECT_NEAR(phase.flows[0].rate.value(), 5e9, 1.0);
  EXPECT_NEAR(phase.flows[1].rate.value(), 5e9, 1.0);
  EXPECT_NEAR(phase.flows[2].rate.value(), 10e9, 1.0);
  EXPECT_NEAR((phase.start_up + phase.alone).count(), 2.4, 1e-9);
}

// Eight replicas on two arrays of four: inside each 3/4 of the gradients, between them 1/4 · 1/2 of
// both buffers, inside 3/4 of the parameters. Two steps of three inside, one each way between: 3 +
// 2 + 3 eighths of the start-up.
TEST(ExchangeRings, HierarchicalGoesInsideArraysFirst) {
  TrainingJob job = fleet_job({.replicas = 8, .reduce = 8e9, .gather = 4e9, .exchange = 1.85});
  job.hierarchical_exchange = true;
  const auto rings = rings_of(job, small_fleet(8));
  ASSERT_EQ(rings[0].exposed.size(), 3U);
  const auto& [reduce, between, gather] =
      std::tie(rings[0].exposed[0], rings[0].exposed[1], rings[0].exposed[2]);
  EXPECT_NEAR(reduce.alone.count(), 0.6, 1e-12);    // 6 GB
  EXPECT_NEAR(between.alone.count(), 0.15, 1e-12);  // 1 GB + 0.5 GB
  EXPECT_NEAR(gather.alone.count(), 0.3, 1e-12);    // 3 GB
  // 0.8 s of start-up.
  EXPECT_NEAR(reduce.start_up.count(), 0.3, 1e-12);
  EXPECT_NEAR(between.start_up.count(), 0.2, 1e-12);
  EXPECT_EQ(reduce.flows[3].from, 3);
  EXPECT_EQ(reduce.flows[3].to, 0);
  EXPECT_EQ(between.flows[1].from, 1);
  EXPECT_EQ(between.flows[1].to, 5);
}

// Replicas of two and of four stages: stage 0 of two holds what stages 0 and 1 of four hold.
TEST(ExchangeRings, DifferentDepthsMeetByTheirShareOfTheModel) {
  TrainingJob job =
      fleet_job({.replicas = 1, .stages = 2, .reduce = 16e9, .gather = 16e9, .exchange = 9.0});
  const TrainingJob deep =
      fleet_job({.replicas = 1, .stages = 4, .reduce = 8e9, .gather = 8e9, .exchange = 9.0});
  job.groups.push_back(deep.groups.front());
  job.ranks_in_exchange = 2;
  const auto rings = rings_of(job, small_fleet(6));
  ASSERT_EQ(rings.size(), 1U);
  std::map<std::pair<std::int64_t, std::int64_t>, double> bytes;
  for (const ExchangeFlow& flow : rings[0].exposed.front().flows)
    bytes[{flow.from, flow.to}] = flow.bytes.value();
  ASSERT_EQ(bytes.size(), 8U);
  EXPECT_NEAR(bytes.at({0, 2}), 8e9, 1.0);  // half of 1/2 · 32 GB
  EXPECT_NEAR(bytes.at({0, 3}), 8e9, 1.0);
  EXPECT_NEAR(bytes.at({1, 4}), 8e9, 1.0);
  EXPECT_NEAR(bytes.at({5, 1}), 8e9, 1.0);  // all of 1/2 · 16 GB
  // Node 0 sends 16 GB through one NIC.
  EXPECT_NEAR(rings[0].exposed.front().alone.count(), 1.6, 1e-9);
}

// 0.2 s start-up and 0.8 s of flows, then 0.5 s of flows.
TEST(ExchangeRings, AWindowSplitsWhereItEnds) {
  const std::vector<ExchangePhase> phases = {
      {Seconds(0.2), {{0, 1, Bytes(8.0), BytesPerSecond(10.0)}}, Seconds(0.8)},
      {Seconds(0.0), {{1, 0, Bytes(5.0), BytesPerSecond(10.0)}}, Seconds(0.5)}};
  const auto length = [](const std::vector<ExchangePhase>& some) {
    return std::accumulate(some.begin(), some.end(), 0.0, [](double sum, const ExchangePhase& p) {
      return sum + p.start_up.count() + p.alone.count();
    });
  };
  for (const double window : {0.0, 0.1, 0.2, 0.6, 1.0, 1.3, 1.5, 9.0}) {
    const ExchangeRing ring = split_at(phases, Seconds(window));
    EXPECT_NEAR(length(ring.hidden), std::min(window, 1.5), 1e-12) << window;
    EXPECT_NEAR(length(ring.exposed), 1.5 - std::min(window, 1.5), 1e-12) << window;
  }
  const ExchangeRing ring = split_at(phases, Seconds(0.6));
  EXPECT_NEAR(ring.hidden[0].flows[0].bytes.value(), 4.0, 1e-12);
  EXPECT_NEAR(ring.exposed[0].flows[0].bytes.value(), 4.0, 1e-12);
  EXPECT_EQ(ring.exposed[0].start_up.count(), 0.0);
  EXPECT_EQ(ring.exposed.size(), 2U);
}

}  // namespace
}  // namespace lindos::sim
