// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/effective_training.h"

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "tests/sim/reliability/reliability_fixture.h"

namespace lindos::sim {
namespace {

namespace fs = std::filesystem;
using testing::Sample;

Scenario load(const std::string& name) {
  const fs::path root(LINDOS_SOURCE_DIR);
  return load_scenario(root / "scenarios" / (name + ".toml"),
                       load_catalogue(root / "data" / "catalogue"));
}

Sample productive(const EffectiveTraining& result) {
  return testing::sample_of<TimeShares>(result.draws,
                                        [](const TimeShares& s) { return s.productive; });
}

// The Llama 3 run: 128 replicas of 128 H100 for 54 days, its published classes, spares enough.
ReliabilityInput llama3_run() {
  Scenario s = load("colossus1-training");
  s.cluster.pools.resize(1);
  s.cluster.pools[0].nodes = 2'048 + 64;
  s.plan.groups.resize(1);
  s.plan.groups[0].replicas = 128;
  s.cluster.faults.rate_sigma = 0.0;
  std::erase_if(s.cluster.faults.classes,
                [](const FaultClass& f) { return f.scope != FaultScope::kDevice; });
  ReliabilityInput input = make_reliability_input(s, Seconds{10});
  input.horizon = Seconds{54 * 86'400.0};
  return input;
}

// arXiv 2407.21783, Table 5.
const std::map<std::string, double>& published_counts() {
  static const std::map<std::string, double> counts{
      {"gpu", 148},   {"hbm", 72},       {"software", 54}, {"link", 35},    {"host", 32},
      {"sram", 19},   {"gsp", 17},       {"nic", 7},       {"watchdog", 7}, {"sdc", 6},
      {"thermal", 6}, {"ssd", 3},        {"psu", 3},       {"chassis", 2},  {"io-board", 2},
      {"cpu", 2},     {"dependency", 2}, {"memory", 2}};
  return counts;
}

// 54 d / 419 = 3.09 h. Over 100 simulated runs the count is 41,900 ± 205.
TEST(EffectiveTraining, ReproducesTheInterruptionsOfLlama3) {
  const EffectiveTraining result = effective_training(llama3_run(), 100, 1);
  EXPECT_NEAR(result.mtbi.count() / 3600.0, 3.09, 0.01);
  double count = 0.0;
  for (const ClassInterruptions& c : result.classes) count += c.simulated * 100.0;
  EXPECT_NEAR(count, 41'900.0, 4.0 * std::sqrt(41'900.0));
}

// Chi-square over the 18 classes; 17 degrees of freedom exceed 40.8 once in a thousand.
TEST(EffectiveTraining, ReproducesTheClassMixOfLlama3) {
  const EffectiveTraining result = effective_training(llama3_run(), 100, 1);
  ASSERT_EQ(result.classes.size(), published_counts().size());
  double total = 0.0;
  for (const ClassInterruptions& c : result.classes) total += c.simulated * 100.0;
  double chi_square = 0.0;
  for (const ClassInterruptions& c : result.classes) {
    const double expected = total * published_counts().at(c.name) / 419.0;
    chi_square += std::pow(c.simulated * 100.0 - expected, 2) / expected;
    EXPECT_NEAR(c.expected, published_counts().at(c.name), 1e-3 * c.expected) << c.name;
  }
  EXPECT_LT(chi_square, 40.8);
}

// The paper reports more than 90 % effective training time; an independent figure, not an input.
TEST(EffectiveTraining, OfTheLlama3RunIsInTheReportedRange) {
  const EffectiveTraining result = effective_training(llama3_run(), 50, 1);
  EXPECT_GT(result.p50, 0.90);
  EXPECT_LT(result.p50, 0.98);
}

TEST(EffectiveTraining, QuantilesAndMeanComeFromTheDraws) {
  ReliabilityInput input = testing::node_faults(64, 2, Hertz(0.02 / 7'200), Seconds{7'200});
  const EffectiveTraining result = effective_training(input, 40, 5);
  ASSERT_EQ(result.draws.size(), 40U);
  EXPECT_LE(result.p10, result.p50);
  EXPECT_LE(result.p50, result.p90);
  EXPECT_NEAR(result.mean.total(), 1.0, 1e-9);
  EXPECT_NEAR(result.mean.productive, productive(result).mean, 1e-12);
  ASSERT_EQ(result.repairs.size(), 1U);
  EXPECT_NEAR(result.repairs[0].mean_out, 66 * 0.02, 1e-9);
  EXPECT_GE(result.repairs[0].p99_out, 4);
}

TEST(EffectiveTraining, EqualSeedsGiveEqualResultsAndMoreDrawsTheSameFirstOnes) {
  const ReliabilityInput input = llama3_run();
  const EffectiveTraining a = effective_training(input, 5, 11);
  const EffectiveTraining b = effective_training(input, 8, 11);
  EXPECT_EQ(a.draws, std::vector<TimeShares>(b.draws.begin(), b.draws.begin() + 5));
  EXPECT_NE(a.draws, effective_training(input, 5, 12).draws);
}

// Within the noise of the two means.
TEST(EffectiveTraining, MoreSparesNeverHurt) {
  Sample before{0.0, 0.0};
  for (const std::int64_t spares : {0, 1, 2, 4, 8, 16}) {
    const ReliabilityInput input =
        testing::node_faults(64, spares, Hertz(0.02 / 7'200), Seconds{7'200});
    const Sample now = productive(effective_training(input, 60, 3));
    EXPECT_GT(now.mean, before.mean - 3.0 * std::hypot(now.standard_error, before.standard_error))
        << spares;
    before = now;
  }
  // With 16 the job hardly ever waits, so that the closed form holds.
  const ReliabilityInput input = testing::node_faults(64, 16, Hertz(0.02 / 7'200), Seconds{7'200});
  EXPECT_NEAR(before.mean, closed_shares(renewal_cycle(input)).productive,
              4.0 * before.standard_error + 1e-5);
}

TEST(EffectiveTraining, SlowerStorageNeverHelps) {
  Scenario scenario = load("colossus1-training");
  scenario.cluster.faults.rate_sigma = 0.0;
  for (const bool asynchronous : {false, true}) {
    scenario.workload.training.checkpoint.asynchronous = asynchronous;
    double closed_before = 1.0;
    Sample before{1.0, 0.0};
    for (const double bandwidth : {8e12, 2e12, 100e9, 20e9}) {
      scenario.cluster.storage.write_bandwidth = BytesPerSecond(bandwidth);
      scenario.cluster.storage.read_bandwidth = BytesPerSecond(bandwidth);
      const EffectiveTraining result =
          effective_training(make_reliability_input(scenario, Seconds{10}), 10, 3);
      const Sample now = productive(result);
      EXPECT_LE(result.closed.productive, closed_before) << bandwidth;
      EXPECT_LT(now.mean, before.mean + 3.0 * std::hypot(now.standard_error, before.standard_error))
          << bandwidth;
      closed_before = result.closed.productive;
      before = now;
    }
  }
}

// What is not known of the rates widens the interval; it does not move the median by much.
TEST(EffectiveTraining, AnUncertainRateWidensTheInterval) {
  ReliabilityInput input = testing::software_faults_only(27'500, Seconds{30}, Seconds{300});
  const EffectiveTraining known = effective_training(input, 100, 1);
  input.rate_sigma = 0.57;
  const EffectiveTraining unknown = effective_training(input, 100, 1);
  EXPECT_GT(unknown.p90 - unknown.p10, 10.0 * (known.p90 - known.p10));
  EXPECT_NEAR(unknown.p50, known.p50, 0.01);
  // At e^(±1.28 · 0.57) times the rate, the exact form gives the ends of an 80 % interval.
  const auto at_factor = [&](double factor) {
    RenewalCycle cycle = renewal_cycle(input);
    cycle.mtbi = cycle.mtbi / factor;
    return closed_shares(cycle).productive;
  };
  EXPECT_NEAR(unknown.p10, at_factor(std::exp(1.2816 * 0.57)), 0.06);
  EXPECT_NEAR(unknown.p90, at_factor(std::exp(-1.2816 * 0.57)), 0.06);
}

// docs/colossus.md and docs/reliability.md: nodes in repair, and what the plan leaves over.
TEST(EffectiveTraining, NodesOfColossus1InRepairAndInReserve) {
  const EffectiveTraining result =
      effective_training(make_reliability_input(load("colossus1-training"), Seconds{10}), 1, 1);
  double out = 0.0;
  std::int64_t spares = 0;
  for (const PoolRepairs& pool : result.repairs) {
    out += pool.mean_out;
    spares += pool.spares;
  }
  EXPECT_NEAR(out, 83.0, 0.5);
  EXPECT_EQ(spares, 32);
}

// Mitigations are changed inputs; each one here removes a cause of its own.
TEST(EffectiveTraining, MitigationsOfColossus1ReturnTraining) {
  Scenario scenario = load("colossus1-training");
  scenario.cluster.faults.rate_sigma = 0.0;
  const ReliabilityInput today = make_reliability_input(scenario, Seconds{10});
  const double base = effective_training(today, 20, 1).mean.productive;
  ReliabilityInput faster_saves = today;
  faster_saves.checkpoint.commit_delay = Seconds{10};
  EXPECT_GT(effective_training(faster_saves, 20, 1).mean.productive, base + 0.05);
  ReliabilityInput faster_restart = today;
  faster_restart.restart = Seconds{30};
  EXPECT_GT(effective_training(faster_restart, 20, 1).mean.productive, base + 0.05);
  ReliabilityInput waiting = today;
  waiting.without_spare = WithoutSpare::kWait;
  const EffectiveTraining stuck = effective_training(waiting, 20, 1);
  EXPECT_GT(stuck.mean.waiting, 0.9);  // some node is always missing
}

}  // namespace
}  // namespace lindos::sim
