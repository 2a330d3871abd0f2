// SPDX-License-Identifier: Apache-2.0
// A fleet whose replicas are all simulated against the same fleet by a sample of them.
#include <cmath>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "scenarios/balance.h"
#include "sim/fleet_outcome.h"
#include "sim/predict.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

constexpr std::int64_t kReplicas = 96;

// Two groups with unlike limits, near saturation, so that goodput lies well inside (0, 1) and replicas differ by
// chance.
Scenario toy_fleet(std::uint64_t seed) {
  Scenario scenario;
  scenario.name = "toy fleet";
  scenario.model = toy::model();
  scenario.devices["toy"] = toy::host_device();
  Pool pool;
  pool.name = "cpu";
  pool.node.name = "toy-node";
  pool.node.device = "toy";
  pool.nodes = 2 * kReplicas;
  scenario.cluster.name = "toy";
  scenario.cluster.pools = {pool};
  ServingWorkload& workload = scenario.workload.serving;
  workload.arrival = Arrival::kPoisson;
  workload.rate = Hertz(8000.0 * kReplicas);
  workload.duration = Seconds(8e-3);
  workload.prompt = {16, 64};
  workload.output = {4, 12};
  scenario.workload.seed = seed;
  scenario.slo.ttft = Seconds(100e-6);
  EngineLimits limits;
  limits.kv_blocks = 256;
  scenario.plan = make_plan(scenario.model, "cpu", 1, {1.0}, {}, Dtype::kF32, limits, kCpuGranule);
  scenario.plan.groups.front().replicas = kReplicas;
  GroupPlan second = scenario.plan.groups.front();
  second.name = "few at once";
  second.replicas = kReplicas / 2;
  second.limits.max_sequences = 1;
  second.routing_weight = 0.8;
  scenario.plan.groups.push_back(second);
  return scenario;
}

RunRecord predicted(const Scenario& scenario, double width, std::uint64_t seed = 1) {
  Profile profile = toy::bare_profile();
  profile.step_overhead = Seconds(20e-6);
  PredictOptions options;
  options.fidelity = Fidelity::kMaxplus;
  options.draws = 0;
  options.goodput_width = width;
  options.seed = seed;
  return predict(scenario, {{"toy", profile}}, options);
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

}  // namespace
}  // namespace lindos::sim
