// SPDX-License-Identifier: Apache-2.0
#include "sim/predict.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

Scenario toy_scenario() {
  Scenario scenario;
  scenario.name = "toy";
  scenario.model = toy::model();
  scenario.devices["toy"] = toy::host_device();
  Pool pool;
  pool.name = "cpu";
  pool.node.name = "toy-node";
  pool.node.device = "toy";
  pool.nodes = 1;
  scenario.cluster.name = "toy";
  scenario.cluster.pools = {pool};
  scenario.workload.serving = {12, Arrival::kPoisson, Hertz(20000), {16, 64}, {4, 12}};
  EngineLimits limits;
  limits.kv_blocks = 256;
  scenario.plan = make_plan(scenario.model, "cpu", 1, {1.0}, {}, Dtype::kF32, limits, kCpuGranule);
  return scenario;
}

std::map<std::string, Profile> toy_profiles() {
  Profile profile = toy::bare_profile();
  profile.step_overhead = Seconds(20e-6);
  profile.step_overhead_spread = 0.05;
  profile.per_sequence_overhead = Seconds(1e-6);
  return {{"toy", profile}};
}

PredictOptions few_draws(Fidelity fidelity = Fidelity::kMaxplus) {
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = 20;
  return options;
}

TEST(Predict, GivesEveryMetricWithAnOrderedInterval) {
  const RunRecord record = predict(toy_scenario(), toy_profiles(), few_draws());
  for (const char* name :
       {"output_tokens_per_s", "requests_per_s", "ttft_s", "tpot_s", "e2e_latency_s", "mfu", "mbu",
        "roofline_utilisation", "memory_peak_bytes", "kv_blocks", "step_time_s", "goodput"}) {
    ASSERT_TRUE(record.metrics.contains(name)) << name;
    const MetricValue& v = record.metrics.at(name);
    EXPECT_LE(v.p10, v.p50) << name;
    EXPECT_LE(v.p50, v.p90) << name;
    EXPECT_GT(v.p50, 0.0) << name;
  }
  EXPECT_LT(record.metrics.at("tpot_s").p10, record.metrics.at("tpot_s").p90);
  EXPECT_EQ(record.metrics.at("kv_blocks").p50, 256);
  double sum = 0.0;
  for (const LedgerEntry& entry : record.ledger) {
    sum += entry.share;
    EXPECT_LE(entry.p10, entry.share);
    EXPECT_GE(entry.p90, entry.share);
  }
  EXPECT_NEAR(sum, 1.0, 1e-9);
  EXPECT_EQ(record.fidelity, "maxplus");
  EXPECT_EQ(record.environment.hardware, "1 × toy CPU");
}

TEST(Predict, EqualSeedsGiveEqualRecords) {
  EXPECT_EQ(predict(toy_scenario(), toy_profiles(), few_draws()),
            predict(toy_scenario(), toy_profiles(), few_draws()));
  PredictOptions other = few_draws();
  other.seed = 2;
  EXPECT_EQ(predict(toy_scenario(), toy_profiles(), other).seed, 2U);
  EXPECT_NE(predict(toy_scenario(), toy_profiles(), few_draws()),
            predict(toy_scenario(), toy_profiles(), other));
}

TEST(Predict, TheRungsAgreeOnTheCentre) {
  const RunRecord maxplus = predict(toy_scenario(), toy_profiles(), few_draws());
  const RunRecord simgrid = predict(toy_scenario(), toy_profiles(), few_draws(Fidelity::kSimgrid));
  for (const auto& [name, value] : maxplus.metrics) {
    EXPECT_NEAR(simgrid.metrics.at(name).p50, value.p50, 1e-6 * value.p50) << name;
  }
}

TEST(Predict, WeightsThatDoNotFitAreInfeasibleWithTheReason) {
  Scenario scenario = toy_scenario();
  auto profiles = toy_profiles();
  profiles.at("toy").memory = Bytes(1e5);
  try {
    static_cast<void>(predict(scenario, profiles, few_draws()));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_GT(std::string(e.what()).size(), 30U) << e.what();
  }
}

TEST(Predict, ATrainingJobNeedsTrainingGroups) {
  Scenario scenario = toy_scenario();
  scenario.workload.kind = WorkloadKind::kTraining;
  EXPECT_THROW(static_cast<void>(predict(scenario, toy_profiles())), Error);
}

}  // namespace
}  // namespace lindos::sim
