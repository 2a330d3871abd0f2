// SPDX-License-Identifier: Apache-2.0
// The event level against hand calculations where links are shared, and against max-plus where they
// are not.
#include "sim/training/simgrid_training.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "sim/training/maxplus_training.h"
#include "tests/sim/toy_fleet.h"
#include "tests/sim/training/toy_fleet_job.h"

namespace lindos::sim {
namespace {

using toy::fleet_job;
using toy::FleetJob;

const SimgridOptions kEveryPass{.every_pass = true};

double step_of(const TrainingJob& job, const toy::Fleet& fleet, const StepDraw& draw = {},
               const SimgridOptions& options = {}) {
  const StepOutcome outcome = simgrid_step(job, fleet.cluster, fleet.devices, draw, options);
  double capacity = 0.0;
  for (const GroupJob& group : job.groups) capacity += (group.peak() * outcome.step).value();
  EXPECT_NEAR(outcome.ledger.capacity_flop() / capacity, 1.0, 1e-9);
  return outcome.step.count();
}

double alone(const TrainingJob& job, const StepDraw& draw = {}) {
  return MaxplusTraining(job).step(draw).step.count();
}

// One NIC per node below wide leaves.
toy::Fleet wide(std::int64_t nodes, int devices_per_node = 1, int domain = 1) {
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", 64, 1);
  toy::add_pool(fleet, "p", nodes, devices_per_node, 0, 0, domain);
  return fleet;
}

// Three ports at 2 : 1: one node of two NICs below a leaf with one cable up.
toy::Fleet narrow(std::int64_t nodes) {
  toy::Fleet fleet = toy::fat_tree("ethernet-fat-tree", 3, 1, 2.0);
  toy::add_pool(fleet, "p", nodes, 2);
  return fleet;
}

// 3 s of passes; then each of two members sends 1/2 · (10 + 10) GB at 10 GB/s = 2(n − 1)/n · bytes
// / rate = 1 s.
TEST(SimgridTraining, ARingOfTwo) {
  const TrainingJob job =
      fleet_job({.replicas = 2, .reduce = 10e9, .gather = 10e9, .exchange = 1.0});
  EXPECT_NEAR(step_of(job, wide(2)), 4.0, 1e-9);
  EXPECT_NEAR(alone(job), 4.0, 1e-12);
}

// Four members send 3/4 of 20 GB, 1.5 s, and 0.25 s of the price are start-up.
TEST(SimgridTraining, StartUpComesBeforeTheBytes) {
  const TrainingJob job =
      fleet_job({.replicas = 4, .reduce = 10e9, .gather = 10e9, .exchange = 1.75});
  EXPECT_NEAR(step_of(job, wide(4)), 4.75, 1e-9);
}

// Two stages, two micro-batches: stage 1 ends at 7 s and exchanges until 8 s, stage 0 ends at 9 s.
TEST(SimgridTraining, EachStageExchangesWhenItHasEnded) {
  const TrainingJob job = fleet_job({.replicas = 2,
                                     .stages = 2,
                                     .micro_batches = 2,
                                     .reduce = 10e9,
                                     .gather = 10e9,
                                     .exchange = 1.0});
  EXPECT_NEAR(step_of(job, wide(4)), 10.0, 1e-9);
  EXPECT_NEAR(step_of(job, wide(4), {}, kEveryPass), 10.0, 1e-9);
}

// A stage of two ranks sends 2 · 1/2 · 40 GB at 20 GB/s, 2 s; the leaf's one cable carries 10 GB/s,
// 4 s.
TEST(SimgridTraining, AnOversubscribedLeafDoublesTheExchange) {
  const TrainingJob job =
      fleet_job({.replicas = 2, .devices = 2, .reduce = 20e9, .gather = 20e9, .exchange = 2.0});
  EXPECT_NEAR(step_of(job, wide(2, 2)), 5.0, 1e-9);
  const toy::Fleet fleet = narrow(2);
  EXPECT_NEAR(step_of(job, fleet), 7.0, 1e-9);
  // What sharing adds is booked as exposed exchange: 4 of 7 s.
  const StepOutcome outcome = simgrid_step(job, fleet.cluster, fleet.devices, {}, {});
  EXPECT_NEAR(outcome.ledger.share(Cause::kExposedData), 4.0 / 7.0, 1e-9);
}

// A stage of four devices spans two nodes of two and drives all their NICs: 4 · 1/2 · 20 GB at 40
// GB/s, 1 s.
TEST(SimgridTraining, AStageOfSeveralNodesHasAllTheirNics) {
  const TrainingJob job =
      fleet_job({.replicas = 2, .devices = 4, .reduce = 10e9, .gather = 10e9, .exchange = 1.0});
  EXPECT_NEAR(step_of(job, wide(4, 2)), 4.0, 1e-9);
}

// 0.4 of the second pass beside the passes, 0.6 s after them; a window longer than the exchange
// hides it all.
TEST(SimgridTraining, AWindowHidesTheBeginningOfTheExchange) {
  FleetJob what{.replicas = 2, .reduce = 10e9, .gather = 10e9, .exchange = 1.0, .window = 0.4};
  EXPECT_NEAR(step_of(fleet_job(what), wide(2)), 3.6, 1e-9);
  EXPECT_NEAR(step_of(fleet_job(what), wide(2), {}, kEveryPass), 3.6, 1e-9);
  what.window = 1.5;
  EXPECT_NEAR(step_of(fleet_job(what), wide(2)), 3.0, 1e-9);
}

// Messages of 1 GB take 0.1 s. Stage 1: forward from 1.1 s, ends at 7.1 s; its last gradient would
// arrive at 7.2 s, but leaves beside the exchange of stage 1 through the same NIC: 7.3 s. Stage 0
// ends at 9.3 s and exchanges for 1 s. Max-plus, and the default, which follows it for replicas
// that meet nobody between tiers, say 10.2 s.
TEST(SimgridTraining, APipelineMessageSharesItsNicWithTheExchange) {
  const TrainingJob job = fleet_job({.replicas = 2,
                                     .stages = 2,
                                     .micro_batches = 2,
                                     .message = 1e9,
                                     .reduce = 10e9,
                                     .gather = 10e9,
                                     .exchange = 1.0});
  EXPECT_NEAR(alone(job), 10.2, 1e-9);
  EXPECT_NEAR(step_of(job, wide(4)), 10.2, 1e-9);
  EXPECT_NEAR(step_of(job, wide(4), {}, kEveryPass), 10.3, 1e-9);
}

// Stages of two ranks, one micro-batch: 3 s and two messages per boundary. A message of 2 · 0.5 GB
// takes 0.05 s at 20 GB/s. Two nodes below a leaf with two cables: one message at a time crosses,
// nothing changes. One node below a leaf with one cable: 0.1 s each, and the default finds that the
// cables could fill and runs the replica pass by pass.
TEST(SimgridTraining, MessagesBetweenLeavesPassTheirCables) {
  const TrainingJob job = fleet_job({.replicas = 1, .stages = 4, .devices = 2, .message = 0.5e9});
  EXPECT_NEAR(alone(job), 12.0 + 6 * 0.05, 1e-9);
  toy::Fleet fleet =
      toy::fat_tree("ethernet-fat-tree", 6, 1, 2.0);  // two nodes below a leaf with two cables
  toy::add_pool(fleet, "p", 4, 2);
  EXPECT_NEAR(step_of(job, fleet), 12.0 + 6 * 0.05, 1e-9);
  fleet = toy::fat_tree("ethernet-fat-tree", 3, 1, 2.0);
  toy::add_pool(fleet, "p", 3, 2);
  const TrainingJob three = fleet_job({.replicas = 1, .stages = 3, .devices = 2, .message = 0.5e9});
  EXPECT_NEAR(step_of(three, fleet), 9.0 + 4 * 0.1, 1e-9);
  EXPECT_NEAR(step_of(three, fleet, {}, kEveryPass), 9.0 + 4 * 0.1, 1e-9);
}

// Two replicas deal experts out to each other: each pass sends and fetches 2 · 2 · 1 GB, 0.2 s of
// the pass at 20 GB/s, 0.4 s through the leaf's cable: 1.2 s forward and 2.2 s backward.
TEST(SimgridTraining, ExpertTrafficSharesTheLeaf) {
  TrainingJob job =
      fleet_job({.replicas = 2, .devices = 2, .expert_seconds = 0.2, .expert_message = 1e9});
  job.groups[0].expert_replicas = 2;
  EXPECT_NEAR(step_of(job, wide(2, 2), {}, kEveryPass), 3.0, 1e-9);
  EXPECT_NEAR(step_of(job, narrow(2)), 3.4, 1e-9);
}

// Three replicas share experts; below leaves of two nodes the third is alone, and whoever sends to
// it runs pass by pass as well. Its leaf's two cables carry 20 GB/s; both others send 4 GB to it in
// one pass, 0.4 s instead of 0.2 s, at most in each of two passes. They differ in speed, so that
// one still sends when another has ended.
TEST(SimgridTraining, ReplicasThatShareExpertsRunTogether) {
  TrainingJob job =
      fleet_job({.replicas = 3, .devices = 2, .expert_seconds = 0.2, .expert_message = 1e9});
  job.groups[0].expert_replicas = 3;
  toy::Fleet fleet = toy::fat_tree("ethernet-fat-tree", 6, 1, 2.0);
  toy::add_pool(fleet, "p", 3, 2);
  StepDraw draw;
  draw.slowdown = {{1.0F, 1.5F, 2.0F}};
  const double step = step_of(job, fleet, draw);
  EXPECT_GE(step, alone(job, draw) - 1e-6);
  EXPECT_LE(step, alone(job, draw) + 0.4 + 1e-6);
  EXPECT_EQ(step, step_of(job, fleet, draw, kEveryPass));
}

// Whatever the rings look like, without contention the price holds: groups of different depth,
// prices and windows; arrays first.
TEST(SimgridTraining, ExchangesAloneTakeTheirPrice) {
  TrainingJob job = fleet_job({.replicas = 2,
                               .stages = 2,
                               .micro_batches = 2,
                               .reduce = 16e9,
                               .gather = 8e9,
                               .exchange = 5.0,
                               .window = 0.5});
  const TrainingJob deep = fleet_job({.replicas = 2,
                                      .stages = 4,
                                      .micro_batches = 3,
                                      .reduce = 8e9,
                                      .gather = 4e9,
                                      .exchange = 6.0,
                                      .window = 2.0});
  job.groups.push_back(deep.groups.front());
  job.ranks_in_exchange = 4;
  EXPECT_NEAR(step_of(job, wide(12)) / alone(job), 1.0, 1e-9);
  EXPECT_NEAR(step_of(job, wide(12), {}, kEveryPass) / alone(job), 1.0, 1e-9);

  TrainingJob arrays =
      fleet_job({.replicas = 8, .reduce = 8e9, .gather = 4e9, .exchange = 1.85, .window = 0.7});
  arrays.hierarchical_exchange = true;
  toy::Fleet fleet = toy::fat_tree("rail-fat-tree", 64, 1);
  toy::add_pool(fleet, "p", 8, 1, 2, 2);
  EXPECT_NEAR(step_of(arrays, fleet), 3.0 + 1.85 - 0.7, 1e-8);  // SimGrid's clock: 1e-9 s an event
}

TEST(SimgridTraining, ASlowLinkHoldsUpItsRing) {
  const TrainingJob job =
      fleet_job({.replicas = 4, .reduce = 10e9, .gather = 10e9, .exchange = 1.75});
  StepDraw draw;
  draw.link = {{1.0F, 1.0F, 2.0F, 1.0F}};
  EXPECT_NEAR(step_of(job, wide(4), draw), 3.0 + 2 * 1.75, 1e-6);
  EXPECT_NEAR(alone(job, draw), 3.0 + 2 * 1.75, 1e-6);
}

StepDraw random_draw(const TrainingJob& job, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> factor(1.0F, 1.5F);
  StepDraw draw;
  for (const GroupJob& group : job.groups) {
    std::vector<float>& of = draw.slowdown.emplace_back();
    for (std::size_t i = 0; i < group.stages.size() * static_cast<std::size_t>(group.replicas); ++i)
      of.push_back(factor(random));
  }
  return draw;
}

// Stages inside one scale-up domain send no flows: every schedule agrees with max-plus to rounding.
TEST(SimgridTraining, EveryPassFollowsMaxplusInsideADomain) {
  for (const int chunks : {1, 2, 3}) {
    for (const std::int64_t micro_batches : {1, 4, 6}) {
      const TrainingJob job = fleet_job({.replicas = 3,
                                         .stages = 4,
                                         .micro_batches = micro_batches,
                                         .chunks = chunks,
                                         .message = 1e9,
                                         .reduce = 1e9,
                                         .exchange = 0.5});
      for (unsigned seed = 0; seed < 3; ++seed) {
        const StepDraw draw = random_draw(job, seed);
        const double expected = alone(job, draw);
        EXPECT_NEAR(step_of(job, wide(3, 4, 4), draw, kEveryPass) / expected, 1.0, 1e-6)
            << chunks << " chunks, " << micro_batches << " micro-batches, seed " << seed;
        EXPECT_NEAR(step_of(job, wide(3, 4, 4), draw) / expected, 1.0, 1e-6);
      }
    }
  }
}

TEST(SimgridTraining, ChunksOfOneStageNeedNoPath) {
  const TrainingJob job =
      fleet_job({.stages = 1, .micro_batches = 2, .chunks = 2, .message = 1e9, .wire = 0.0});
  EXPECT_NEAR(step_of(job, wide(1), {}, kEveryPass), 6.0, 1e-9);
}

// Two stages on nodes of their own: each NIC carries one message at a time, and the exchange's
// start-up outlasts the last of them. All three agree.
TEST(SimgridTraining, EveryPassFollowsMaxplusOverNicsThatNobodyShares) {
  for (const std::int64_t micro_batches : {1, 3, 8}) {
    const TrainingJob job = fleet_job({.replicas = 3,
                                       .stages = 2,
                                       .micro_batches = micro_batches,
                                       .message = 0.1e9,
                                       .reduce = 1e9,
                                       .exchange = 0.5});
    for (unsigned seed = 0; seed < 5; ++seed) {
      const StepDraw draw = random_draw(job, seed);
      const double expected = alone(job, draw);
      EXPECT_NEAR(step_of(job, wide(6), draw) / expected, 1.0, 1e-6);
      EXPECT_NEAR(step_of(job, wide(6), draw, kEveryPass) / expected, 1.0, 1e-6)
          << micro_batches << " micro-batches, seed " << seed;
    }
  }
}

// More cables never slow a step down here, and sharing never makes it faster than alone.
TEST(SimgridTraining, SharingOnlyAdds) {
  const TrainingJob job = fleet_job({.replicas = 4,
                                     .stages = 2,
                                     .devices = 2,
                                     .micro_batches = 4,
                                     .message = 1e9,
                                     .reduce = 20e9,
                                     .gather = 20e9,
                                     .exchange = 4.0});
  const StepDraw draw = random_draw(job, 7);
  toy::Fleet few = toy::fat_tree("ethernet-fat-tree", 8, 1, 3.0);
  toy::add_pool(few, "p", 8, 2);
  const double shared = step_of(job, few, draw, kEveryPass);
  EXPECT_GE(shared, alone(job, draw) * (1.0 - 1e-9));
  EXPECT_GT(shared, step_of(job, wide(8, 2), draw) * 1.01);
}

TEST(SimgridTraining, EqualRunsGiveEqualBits) {
  const TrainingJob job = fleet_job({.replicas = 4,
                                     .stages = 2,
                                     .devices = 2,
                                     .micro_batches = 4,
                                     .message = 1e9,
                                     .reduce = 20e9,
                                     .gather = 20e9,
                                     .exchange = 4.0});
  const StepDraw draw = random_draw(job, 7);
  toy::Fleet few = toy::fat_tree("ethernet-fat-tree", 8, 1, 3.0);
  toy::add_pool(few, "p", 8, 2);
  EXPECT_EQ(step_of(job, few, draw), step_of(job, few, draw));
}

TEST(SimgridTraining, TheGateIsTheReplicaThatEndedLast) {
  const TrainingJob job =
      fleet_job({.replicas = 3, .stages = 2, .micro_batches = 2, .reduce = 10e9, .exchange = 2.0});
  StepDraw draw;
  draw.slowdown = {{1.0F, 1.0F, 1.0F, 1.5F, 1.0F, 1.0F}};
  const toy::Fleet fleet = wide(6);
  const Gate gate = simgrid_step(job, fleet.cluster, fleet.devices, draw, {}).gate;
  EXPECT_EQ(gate.replica, 1);
  EXPECT_EQ(gate.stage, 1U);
}

std::string refusal(const TrainingJob& job, const toy::Fleet& fleet, ErrorKind kind) {
  try {
    static_cast<void>(simgrid_step(job, fleet.cluster, fleet.devices, {}, {}));
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind);
    return e.what();
  }
  return "no error";
}

TEST(SimgridTraining, RefusesWhatTheFleetCannotHold) {
  const TrainingJob job = fleet_job({.replicas = 2, .reduce = 1e9, .exchange = 1.0});
  EXPECT_NE(refusal(job, wide(1), ErrorKind::kInfeasible)
                .find("takes 2 devices of pool \"p\", which has 1"),
            std::string::npos);
  toy::Fleet fleet = wide(2);
  fleet.devices["p-gpu"].scale_out_bandwidth = BytesPerSecond(0);
  EXPECT_NE(refusal(job, fleet, ErrorKind::kInfeasible)
                .find("nic-up of node 0 (pool p) has no bandwidth"),
            std::string::npos);
  TrainingJob lost = job;
  lost.groups[0].stages[0].pool = "q";
  EXPECT_NE(refusal(lost, wide(2), ErrorKind::kInput).find("pool \"q\"; the cluster has p"),
            std::string::npos);
}

}  // namespace
}  // namespace lindos::sim
