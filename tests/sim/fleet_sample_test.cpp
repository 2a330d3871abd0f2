// SPDX-License-Identifier: Apache-2.0
// A fleet whose replicas are all simulated against the same fleet by a sample of them.
#include <cmath>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "sim/fleet_outcome.h"
#include "sim/predict.h"
#include "tests/sim/toy_serving_fleet.h"

namespace lindos::sim {
namespace {

constexpr std::int64_t kReplicas = 96;

Scenario toy_fleet(std::uint64_t seed) { return toy::fleet_scenario(seed, kReplicas); }

RunRecord predicted(const Scenario& scenario, double width, std::uint64_t seed = 1) {
  PredictOptions options;
  options.fidelity = Fidelity::kMaxplus;
  options.draws = 0;
  options.goodput_width = width;
  options.seed = seed;
  return predict(scenario, {{"toy", toy::slow_steps_profile()}}, options);
}

double centre(const RunRecord& record, const char* metric) { return record.metrics.at(metric).p50; }

TEST(FleetSample, ItsIntervalCoversTheFleetThatIsSimulatedWhole) {
  // 95 % of 60 intervals are 57; fewer than 51 has a chance of 1e-3 under the binomial.
  constexpr int kFleets = 10;
  constexpr int kSeeds = 6;
  int covered = 0;
  for (std::uint64_t fleet = 1; fleet <= kFleets; ++fleet) {
    const Scenario scenario = toy_fleet(fleet);
    const RunRecord exact = predicted(scenario, 0.0);
    EXPECT_FALSE(exact.metrics.contains("simulated_replicas"));
    const double goodput = centre(exact, "goodput");
    EXPECT_GT(goodput, 0.2);
    EXPECT_LT(goodput, 0.95);
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
      const RunRecord sampled = predicted(scenario, 1.0, seed);
      EXPECT_EQ(centre(sampled, "simulated_replicas"), 32.0);
      const double half = centre(sampled, "goodput_sampling_error");
      EXPECT_GT(half, 0.0);
      if (std::abs(centre(sampled, "goodput") - goodput) <= half) ++covered;
      for (const char* metric : {"output_tokens_per_s", "requests_per_s", "ttft_s", "tpot_s", "mfu"})
        EXPECT_NEAR(centre(sampled, metric) / centre(exact, metric), 1.0, 0.25) << metric;
    }
  }
  EXPECT_GE(covered, 51);
}

TEST(FleetSample, GrowsUntilTheIntervalIsAsNarrowAsAsked) {
  const Scenario scenario = toy_fleet(3);
  const RunRecord wide = predicted(scenario, 1.0);
  const RunRecord narrow = predicted(scenario, 0.04);
  EXPECT_LE(2.0 * centre(narrow, "goodput_sampling_error"), 0.04 * centre(narrow, "goodput"));
  EXPECT_GT(centre(narrow, "simulated_replicas"), centre(wide, "simulated_replicas"));
  const MetricValue& goodput = narrow.metrics.at("goodput");
  EXPECT_LT(goodput.p10, goodput.p50);
  EXPECT_GT(goodput.p90, goodput.p50);
}

TEST(FleetSample, EqualSeedsGiveEqualRecords) {
  const Scenario scenario = toy_fleet(5);
  EXPECT_EQ(predicted(scenario, 1.0, 4), predicted(scenario, 1.0, 4));
  EXPECT_NE(centre(predicted(scenario, 1.0, 4), "goodput"), centre(predicted(scenario, 1.0, 5), "goodput"));
}

// 24 routers that see 6 replicas each.
Scenario routed_fleet(std::uint64_t seed) {
  Scenario scenario = toy_fleet(seed);
  scenario.plan.routing = {RoutingPolicy::kLeastOutstanding, 6, 1.25};
  return scenario;
}

// As ItsIntervalCoversTheFleetThatIsSimulatedWhole: 4 of 24 cells, and of 60 intervals at least 51 hold.
TEST(FleetSample, CellsAnswerForTheFleetWhereRoutingLooksAtLoad) {
  int covered = 0;
  for (std::uint64_t fleet = 1; fleet <= 10; ++fleet) {
    const Scenario scenario = routed_fleet(fleet);
    const RunRecord exact = predicted(scenario, 0.0);
    EXPECT_FALSE(exact.metrics.contains("simulated_replicas"));
    const double goodput = centre(exact, "goodput");
    EXPECT_GT(goodput, centre(predicted(toy_fleet(fleet), 0.0), "goodput"));
    for (std::uint64_t seed = 1; seed <= 6; ++seed) {
      const RunRecord sampled = predicted(scenario, 1.0, seed);
      EXPECT_EQ(centre(sampled, "simulated_replicas"), 24.0);
      const double half = centre(sampled, "goodput_sampling_error");
      if (std::abs(centre(sampled, "goodput") - goodput) <= half) ++covered;
      for (const char* metric : {"output_tokens_per_s", "requests_per_s", "ttft_s", "tpot_s", "mfu"})
        EXPECT_NEAR(centre(sampled, metric) / centre(exact, metric), 1.0, 0.25) << metric;
    }
  }
  EXPECT_GE(covered, 51);
}

TEST(FleetSample, DrawsAndFidelitiesWorkOnCells) {
  const Scenario scenario = routed_fleet(2);
  PredictOptions options;
  options.draws = 20;
  options.goodput_width = 1.0;
  const RunRecord record = predict(scenario, {{"toy", toy::slow_steps_profile()}}, options);
  EXPECT_EQ(record.repeats, 20);
  options.draws = 0;
  const RunRecord again = predict(scenario, {{"toy", toy::slow_steps_profile()}}, options);
  // One stage: the same on both event rungs.
  options.fidelity = Fidelity::kSimgrid;
  EXPECT_EQ(predict(scenario, {{"toy", toy::slow_steps_profile()}}, options).metrics, again.metrics);
}

TEST(FleetSample, EveryRouterNeedsAReplicaOfEachGroup) {
  Scenario scenario = routed_fleet(1);
  scenario.plan.groups.back().replicas = 3;
  try {
    (void)predicted(scenario, 1.0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_STREQ(error.what(), "plan: routing: group \"few at once\" has 3 replicas, fewer than the 17 routers with 6 "
                               "replicas each, which all need one; raise replicas_per_router or leave the group out");
  }
}

}  // namespace
}  // namespace lindos::sim
