// SPDX-License-Identifier: Apache-2.0
#include "sim/power_model.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "sim/predict.h"
#include "sim/stage_work.h"
#include "tests/sim/toy_power.h"

namespace lindos::sim {
namespace {

using toy::ceilings_only;
using toy::kLoad;
using toy::toy_gpu_profile;
using toy::toy_scenario;
using toy::with_steps;

TEST(PowerModel, SolvesBytesAndFlopFromTheCeilings) {
  const auto model = PowerModel::of(ceilings_only(), Watts{0});
  ASSERT_TRUE(model.has_value());
  EXPECT_EQ(model->idle(), Watts{100});
  EXPECT_EQ(model->limit(), Watts{700});
  EXPECT_NEAR(model->added({Flop{0}, Bytes{1e12}}).value(), 100.0, 1e-9);
  EXPECT_NEAR(model->added({Flop{1e15}, Bytes{1e12}}).value(), 600.0, 1e-9);
  EXPECT_NEAR(model->added({Flop{2e14}, Bytes{2e12}}).value(), 300.0, 1e-9);
  EXPECT_EQ(model->added({Flop{0}, Bytes{0}}), Joules{0});
  EXPECT_DOUBLE_EQ(model->sigma(), 0.15);
}

TEST(PowerModel, StepsOfTheEngineCorrectWhatLiesBetweenTheCeilings) {
  const auto model = PowerModel::of(with_steps(), Watts{0});
  ASSERT_TRUE(model.has_value());
  // The samples themselves: all three as measured.
  EXPECT_NEAR(model->added({Flop{0}, Bytes{3e12}}).value(), 300.0, 1e-9);
  EXPECT_NEAR(model->added({Flop{2e14}, Bytes{2e12}}).value(), 350.0, 1e-9);
  EXPECT_NEAR(model->added({Flop{1e15}, Bytes{1e12}}).value(), 600.0, 1e-9);
  // A sixth of the energy for FLOP lies half way from reading (1) to the steps (350/300): √(7/6) of 250 + 50 J.
  EXPECT_NEAR(model->added({Flop{1e14}, Bytes{2.5e12}}).value(), 300.0 * std::sqrt(7.0 / 6.0), 1e-9);
  // Beyond the product's five sixths its ratio holds: 1.
  EXPECT_NEAR(model->added({Flop{1e15}, Bytes{0}}).value(), 500.0, 1e-9);
  // From reading (share 0) to the product (5/6) the line is 0 at a third; the steps lie log(7/6) above it, half of
  // which is the error, beside 2 % for heat.
  EXPECT_NEAR(model->sigma(), std::hypot(0.02, std::log(7.0 / 6.0) / 2.0), 1e-12);
}

TEST(PowerModel, KernelsWithWattsOfTheirOwnCountByThem) {
  Profile profile = toy::bare_profile();
  profile.power_spread = 0.2;
  profile.gemm = {toy::gemm(1, 100, 100, 1e-6)};
  profile.gemm[0].power = Watts{400};
  const auto model = PowerModel::typical(profile, Watts{100}, Watts{700});
  ASSERT_TRUE(model.has_value());
  EXPECT_TRUE(model->sampled());
  EXPECT_NEAR(model->sigma(), std::hypot(0.02, 0.2), 1e-12);
  PowerWork work;
  model->count(work, Watts{400}, Seconds{2}, Flop{1e15}, Bytes{1e12});
  EXPECT_EQ(work, (PowerWork{Flop{0}, Bytes{0}, Joules{600}}));
  // Reading for a second at the ceiling takes 55 % of 600 W.
  model->count(work, Watts{0}, Seconds{1}, Flop{0}, Bytes{100e9});
  EXPECT_NEAR(model->added(work).value(), 600.0 + 330.0, 1e-9);
  // Steps of the device itself go before watts of kernels.
  const auto by_steps = PowerModel::of(with_steps(), Watts{0});
  PowerWork of_steps;
  by_steps->count(of_steps, Watts{400}, Seconds{1}, Flop{0}, Bytes{3e12});
  EXPECT_NEAR(by_steps->added(of_steps).value(), 300.0, 1e-9);
}

TEST(PowerModel, SpreadBetweenEnginesIsInTheSigma) {
  Profile profile = ceilings_only();
  profile.power_spread = 0.2;
  EXPECT_DOUBLE_EQ(PowerModel::of(profile, Watts{0})->sigma(), 0.25);
}

TEST(PowerModel, NeedsSamplesThatAgree) {
  EXPECT_FALSE(PowerModel::of(toy::bare_profile(), Watts{700}).has_value());
  Profile no_idle = ceilings_only();
  no_idle.power.erase(no_idle.power.begin());
  EXPECT_FALSE(PowerModel::of(no_idle, Watts{700}).has_value());
  Profile cold = ceilings_only();
  cold.power[1].power = Watts{90};  // reading below idle
  EXPECT_FALSE(PowerModel::of(cold, Watts{700}).has_value());
}

TEST(PowerModel, TakesTheDriversLimitElseTheBoards) {
  EXPECT_EQ(PowerModel::of(ceilings_only(), Watts{500})->limit(), Watts{700});
  Profile profile = ceilings_only();
  profile.power_limit = Watts{0};
  EXPECT_EQ(PowerModel::of(profile, Watts{500})->limit(), Watts{500});
  EXPECT_TRUE(std::isinf(PowerModel::of(profile, Watts{0})->limit().value()));
}

TEST(PowerBooks, AStepAddsNoMoreThanTheLimitLeaves) {
  StageWork work;
  work.ranks = {{{Family::kGemm, Tier::kMeasured, 0, Seconds{2}, Flop{1}, Bytes{1}, Bytes{0}}}};
  work.collectives.resize(1);
  work.added = {Joules{900}};
  Ledger ledger;
  WorkTotals totals;
  // 2 s at up to 600 W hold 900 J; at up to 400 W, 800 J.
  book(work, {{0, FlopPerSecond{1}, BytesPerSecond{1}, Watts{600}}}, Draw{}, ledger, totals);
  EXPECT_DOUBLE_EQ(totals.added.value(), 900.0);
  book(work, {{0, FlopPerSecond{1}, BytesPerSecond{1}, Watts{400}}}, Draw{}, ledger, totals);
  EXPECT_DOUBLE_EQ(totals.added.value(), 900.0 + 800.0);
}

TEST(PredictPower, FillsPowerAndEnergyOnEveryRung) {
  for (const Fidelity fidelity : {Fidelity::kClosed, Fidelity::kMaxplus, Fidelity::kSimgrid}) {
    PredictOptions options;
    options.fidelity = fidelity;
    options.draws = 40;
    const RunRecord record = predict(toy_scenario(kLoad, 1), {{"toy-gpu", toy_gpu_profile()}}, options);
    for (const char* name : {"power_w", "energy_per_token_j"}) {
      ASSERT_TRUE(record.metrics.contains(name)) << name << " " << name_of(fidelity);
      const MetricValue& value = record.metrics.at(name);
      EXPECT_LT(value.p10, value.p50) << name << " " << name_of(fidelity);
      EXPECT_LT(value.p50, value.p90) << name << " " << name_of(fidelity);
    }
    EXPECT_GT(record.metrics.at("power_w").p50, 100.0);
  }
}

TEST(PredictPower, IsAbsentWithoutSamplesAndCatalogue) {
  Profile profile = toy_gpu_profile();
  profile.power.clear();
  Scenario scenario = toy_scenario(kLoad, 1);
  const RunRecord record = predict(scenario, {{"toy-gpu", profile}}, {});
  for (const char* name : {"power_w", "energy_per_token_j", "site_power_w", "site_power_peak_w"})
    EXPECT_FALSE(record.metrics.contains(name)) << name;
  // What the catalogue says of the device gives a typical one, and the record says so.
  scenario.devices.at("toy-gpu").power_idle = Watts{100};
  scenario.devices.at("toy-gpu").power_max = Watts{700};
  const RunRecord typical = predict(scenario, {{"toy-gpu", profile}}, {});
  for (const char* name : {"power_w", "energy_per_token_j", "site_power_w", "site_power_peak_w"}) {
    ASSERT_TRUE(typical.metrics.contains(name)) << name;
    EXPECT_EQ(typical.metrics.at(name).provenance, "extrapolated") << name;
  }
  EXPECT_EQ(typical.metrics.at("tpot_s"), record.metrics.at("tpot_s"));
}

// The catalogue may say less of idle power than the profile measured.
TEST(PredictPower, RefusesALimitBelowMeasuredIdlePower) {
  Scenario scenario = toy_scenario(kLoad, 1);
  scenario.devices.at("toy-gpu").power_idle = Watts{50};
  scenario.devices.at("toy-gpu").power_max = Watts{700};
  scenario.cluster.power.device_cap = Watts{90};
  try {
    static_cast<void>(predict(scenario, {{"toy-gpu", toy_gpu_profile()}}, {}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInfeasible);
    EXPECT_STREQ(error.what(), "device \"toy-gpu\": a limit of 90 W is not above the 100 W that its profile measured idle");
  }
}

RC_GTEST_PROP(PredictPower, LiesBetweenIdleAndTheLimit, ()) {
  const int devices = *rc::gen::inRange(1, 3);
  const auto requests = *rc::gen::inRange<std::int64_t>(1, 12);
  const auto prompt = *rc::gen::inRange<std::int64_t>(1, 200);
  const auto output = *rc::gen::inRange<std::int64_t>(1, 20);
  const bool together = *rc::gen::arbitrary<bool>();
  const ServingWorkload load{requests,
                             together ? Arrival::kTogether : Arrival::kPoisson,
                             Hertz{together ? 0.0 : 5000.0},
                             {prompt, prompt},
                             {output, output}};
  Profile profile = toy_gpu_profile();
  // A low limit binds, a high one does not.
  profile.power_limit = Watts{static_cast<double>(*rc::gen::inRange(110, 900))};
  for (const Fidelity fidelity : {Fidelity::kClosed, Fidelity::kMaxplus}) {
    PredictOptions options;
    options.fidelity = fidelity;
    options.draws = 0;
    const RunRecord record = predict(toy_scenario(load, devices), {{"toy-gpu", profile}}, options);
    const double power = record.metrics.at("power_w").p50;
    RC_ASSERT(power >= 100.0 * devices);
    RC_ASSERT(power <= profile.power_limit.value() * devices * (1 + 1e-12));
    // What one token takes × tokens = power × time, so at least idle power × time.
    const double tokens_per_s = record.metrics.at("output_tokens_per_s").p50;
    if (together) {
      RC_ASSERT(std::abs(record.metrics.at("energy_per_token_j").p50 * tokens_per_s / power - 1.0) < 1e-6);
    }
  }
}

}  // namespace
}  // namespace lindos::sim
