// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/failure_process.h"

#include <cmath>

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "tests/sim/reliability/reliability_fixture.h"

namespace lindos::sim {
namespace {

using testing::kAnchorRate;

// `gpus` GPUs in nodes of 8, each class repaired in a day.
FailureProcess anchor_fleet(std::int64_t gpus) {
  FailureProcess process;
  process.pools = {{"a", "gpu", 8, gpus / 8, 0}};
  process.sources = {{"all", 0, FaultScope::kDevice, Hertz(kAnchorRate), gpus, 1, Seconds{86'400}}};
  return process;
}

// One rate for all: 99 h at 512 GPUs, 3.09 h at 16,384, 20.3 min at 150,000, 13.8 min at 220,000.
TEST(FailureProcess, PublishedRateGivesThePublishedTimesBetweenInterruptions) {
  const auto minutes = [](std::int64_t gpus) {
    return mean_time_between_interruptions(anchor_fleet(gpus)).count() / 60.0;
  };
  EXPECT_NEAR(minutes(512) / 60.0, 99.0, 0.1);
  EXPECT_NEAR(minutes(16'384) / 60.0, 3.09, 0.005);
  EXPECT_NEAR(minutes(150'000), 20.3, 0.05);
  EXPECT_NEAR(minutes(220'000), 13.8, 0.05);
}

TEST(FailureProcess, NothingFailsNothingInterrupts) {
  EXPECT_TRUE(std::isinf(mean_time_between_interruptions({}).count()));
}

// 1.973e-5 per GPU-hour × 220,000 GPUs × 24 h = 104.2 nodes, and 129 cover 99 % of Poisson(104.2):
// P(≤ 128) = 0.9896, P(≤ 129) = 0.9919.
TEST(FailureProcess, NodesInRepairAtColossusSize) {
  EXPECT_NEAR(mean_nodes_out(anchor_fleet(220'000), 0), 104.2, 0.05);
  EXPECT_EQ(nodes_out_quantile(anchor_fleet(220'000), 0, 0.99), 129);
}

// Poisson(2) single nodes and Poisson(0.5) racks of 8: by summing the two series, P(≤ 24) = 0.9873,
// P(≤ 25) = 0.9907.
TEST(FailureProcess, RacksOutTogetherNeedMoreSpares) {
  FailureProcess process;
  process.pools = {{"a", "gpu", 8, 100, 28}};
  process.sources = {
      {"node", 0, FaultScope::kNode, Hertz(2.0 / 128.0 / 3600.0), 128, 1, Seconds{3'600}},
      {"rack", 0, FaultScope::kRack, Hertz(0.5 / 16.0 / 3600.0), 16, 8, Seconds{3'600}}};
  EXPECT_NEAR(mean_nodes_out(process, 0), 2.0 + 0.5 * 8.0, 1e-12);
  EXPECT_EQ(nodes_out_quantile(process, 0, 0.99), 25);
}

TEST(FailureProcess, NoFailureNoSpare) {
  FailureProcess process = anchor_fleet(800);
  process.sources.clear();
  EXPECT_EQ(nodes_out_quantile(process, 0, 0.99), 0);
}

// Sparse fleets: of 10 GPUs per hour, the share of the job's own.
TEST(FailureProcess, FailuresOfSparesDoNotInterrupt) {
  FailureProcess process;
  process.pools = {{"a", "gpu", 8, 90, 10}};
  process.sources = {{"gpu", 0, FaultScope::kDevice, Hertz(1e-6), 800, 1, Seconds{3'600}}};
  EXPECT_NEAR(interruption_rate(process, process.sources[0]).value(), 720e-6, 1e-15);
  // Racks of 8: nodes 0 … 89 of the job lie in the racks of nodes 0 … 95.
  process.sources[0] = {"rack", 0, FaultScope::kRack, Hertz(1e-6), 13, 8, Seconds{3'600}};
  EXPECT_NEAR(interruption_rate(process, process.sources[0]).value(), 13e-6 * 0.96, 1e-15);
}

Scenario two_pools() {
  Scenario s;
  s.cluster.pools.resize(3);
  s.cluster.pools[0].name = "hopper";
  s.cluster.pools[0].node = {"n", "h", 8, Watts{0}, Watts{0}};
  s.cluster.pools[0].nodes = 20;
  s.cluster.pools[1].name = "idle";
  s.cluster.pools[1].node = {"n", "h", 8, Watts{0}, Watts{0}};
  s.cluster.pools[1].nodes = 5;
  s.cluster.pools[2].name = "blackwell";
  s.cluster.pools[2].node = {"t", "b", 4, Watts{0}, Watts{0}};
  s.cluster.pools[2].nodes = 10;
  s.cluster.pools[2].spares = 1;
  FaultClass all;
  all.name = "gpu";
  all.rate = Hertz(1e-6);
  FaultClass trays;
  trays.name = "tray";
  trays.device = "b";
  trays.scope = FaultScope::kNode;
  trays.rate = Hertz(2e-6);
  s.cluster.faults.classes = {all, trays};
  GroupPlan group;
  group.role = Role::kTrain;
  group.replicas = 3;
  group.stages.resize(2);
  group.stages[0].ranks.assign(20, {"hopper", {}, 0});
  group.stages[1].ranks.assign(4, {"blackwell", {}, 0});
  s.plan.groups = {group};
  return s;
}

// 3 × 20 GPUs are 8 nodes, the other 12 are spare; 3 trays, and 1 of the 7 others is held.
TEST(FailureProcess, CountsWhatThePlanTakesAndWhatIsHeld) {
  const FailureProcess process = make_failure_process(two_pools());
  ASSERT_EQ(process.pools.size(), 2U);
  EXPECT_EQ(process.pools[0].job, 8);
  EXPECT_EQ(process.pools[0].spares, 12);
  EXPECT_EQ(process.pools[1].job, 3);
  EXPECT_EQ(process.pools[1].spares, 1);
  ASSERT_EQ(process.sources.size(), 3U);
  // 8 × 8 GPUs and 3 × 4 GPUs at 1e-6, 3 trays at 2e-6.
  EXPECT_NEAR(1.0 / mean_time_between_interruptions(process).count(), 64e-6 + 12e-6 + 6e-6, 1e-12);
}

TEST(FailureProcess, APlanThatDoesNotTrainHasNoJobToInterrupt) {
  Scenario s = two_pools();
  s.plan.groups[0].role = Role::kBoth;
  EXPECT_THROW(static_cast<void>(make_failure_process(s)), Error);
}

}  // namespace
}  // namespace lindos::sim
