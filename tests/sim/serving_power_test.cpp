// SPDX-License-Identifier: Apache-2.0
// Caps on a serving fleet: limits by hand, one capped step by hand, energy by two integrators, no instant above the cap.
#include "sim/serving_power.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "exec/scheduler/limits_from_plan.h"
#include "scenarios/error.h"
#include "scenarios/run_samples.h"
#include "sim/fleet.h"
#include "sim/fleet_power.h"
#include "sim/maxplus.h"
#include "sim/power_limit.h"
#include "sim/predict.h"
#include "sim/stage_work.h"
#include "tests/sim/toy_power.h"
#include "tests/sim/toy_serving_fleet.h"

namespace lindos::sim {
namespace {

// 10 nodes of 8 devices (100 to 700 W), half of which serve; 10.2 kW nameplate: hosts take 2.8 kW in heavy work; 2.4 kW at
// rest, 1.6 kW of it hosts. One serving device adds 600 W and 150 W of host. PUE 1.25.
Scenario half_busy() {
  Scenario s = toy::toy_scenario(toy::kLoad, 1);
  Device& device = s.devices.at("toy-gpu");
  device.power_max = Watts{700};
  device.power_idle = Watts{100};
  Pool& pool = s.cluster.pools.front();
  pool.node.devices = 8;
  pool.node.power_max = Watts{10200};
  pool.node.power_idle = Watts{2400};
  pool.nodes = 10;
  pool.nodes_per_rack = 2;
  s.cluster.power.pue = 1.25;
  s.plan.groups.front().replicas = 40;
  return s;
}

double limit(const Scenario& s) { return device_limits(s, OtherDevices::kRest).groups.front().at("gpu").value(); }

TEST(ServingLimits, AreTheLeastOfDeviceRackAndSite) {
  Scenario s = half_busy();
  EXPECT_DOUBLE_EQ(limit(s), 700.0);
  s.cluster.power.device_cap = Watts{500};
  EXPECT_DOUBLE_EQ(limit(s), 500.0);
  // Two nodes of 2.8 kW hosts and 8 devices.
  s.cluster.power.rack_cap = Watts{2 * (2800 + 8 * 400)};
  EXPECT_NEAR(limit(s), 400.0, 1e-9);
  // At rest 24 kW; 40 devices add 150 W of host each and keep half of the 300 W that the rack leaves: 250 W.
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * (150 + 150))};
  EXPECT_NEAR(limit(s), 250.0, 1e-9);
}

// 24 kW at rest + 40 × (600 + 150) W.
TEST(ServingLimits, ASiteCapThatHoldsAnywayLimitsNothing) {
  Scenario s = half_busy();
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 750)};
  EXPECT_DOUBLE_EQ(limit(s), 700.0);
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 749)};
  EXPECT_NEAR(limit(s), 699.0, 1e-9);
}

// 20 devices held to 400 W and 20 free ones; at the site's cap both keep half of their 300 and 600 W.
TEST(ServingLimits, AGroupsOwnLimitCountsBeforeTheSites) {
  Scenario s = half_busy();
  s.plan.groups.front().replicas = 20;
  s.plan.groups.push_back(s.plan.groups.front());
  s.plan.groups.back().name = "free";
  s.plan.groups.front().power_limit = Watts{400};
  const auto watts = [&](std::size_t g) { return device_limits(s, OtherDevices::kRest).groups[g].at("gpu").value(); };
  EXPECT_DOUBLE_EQ(watts(0), 400.0);
  EXPECT_DOUBLE_EQ(watts(1), 700.0);
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 150 + 20 * 300 + 20 * 600)};
  EXPECT_DOUBLE_EQ(watts(0), 400.0);
  EXPECT_DOUBLE_EQ(watts(1), 700.0);
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 150 + 10 * 300 + 10 * 600)};
  EXPECT_NEAR(watts(0), 250.0, 1e-9);
  EXPECT_NEAR(watts(1), 400.0, 1e-9);
  // Both are simulated under theirs.
  const Fleet fleet = make_fleet(s, {{"toy-gpu", toy::toy_gpu_profile()}}, "");
  EXPECT_NEAR(fleet.groups[0].replica.ranks(0).front().added_cap.value(), 150.0, 1e-9);
  EXPECT_NEAR(fleet.groups[1].replica.ranks(0).front().added_cap.value(), 300.0, 1e-9);
}

TEST(ServingLimits, ACapThatNoClockKeepsIsInfeasible) {
  Scenario s = half_busy();
  s.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 160)};  // 10 W of 600 are left
  try {
    (void)limit(s);
    FAIL() << "expected a refusal";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("37.5 kW"), std::string::npos) << e.what();  // 1.25 × (24 + 40 × 0.15) kW
  }
}

// An op of 2 s of arithmetic; one of 2 s of memory with 1 s of arithmetic. 1,600 J in 4 s, and 100 W are left: a quarter,
// so half the clock (the square). The first takes 4 s, the second still 2 s; 6 s at 100 W.
TEST(CappedStep, SlowsArithmeticAndDrawsTheCap) {
  StageWork work;
  work.ranks = {{{Family::kGemm, Tier::kMeasured, 0, Seconds{2}, Flop{2}, Bytes{0}, Bytes{0}},
                 {Family::kStream, Tier::kMeasured, 0, Seconds{2}, Flop{1}, Bytes{2}, Bytes{0}}}};
  work.collectives.resize(1);
  work.added = {Joules{1600}};
  std::vector<RankCeiling> ranks{{0, FlopPerSecond{1}, BytesPerSecond{1}, Watts{600}, Watts{100}, 0.0}};
  Ledger ledger;
  WorkTotals totals;
  EXPECT_DOUBLE_EQ(book(work, ranks, Draw{}, ledger, totals).value(), 600.0);
  EXPECT_DOUBLE_EQ(compute_time(work, ranks, Draw{}).count(), 6.0);
  EXPECT_DOUBLE_EQ(ledger.amount(Cause::kPowerCap), 2.0);
  EXPECT_DOUBLE_EQ(ledger.capacity_flop(), 6.0);
  EXPECT_DOUBLE_EQ(totals.added.value(), 600.0);
  // A sixteenth: a quarter of the clock, at which the second op's arithmetic takes 4 s as well.
  ranks.front().added_cap = Watts{25};
  EXPECT_DOUBLE_EQ(compute_time(work, ranks, Draw{}).count(), 8.0 + 4.0);
  // What the work draws anyway.
  ranks.front().added_cap = Watts{400};
  EXPECT_DOUBLE_EQ(compute_time(work, ranks, Draw{}).count(), 4.0);
}

// Where a step was on its stage, as the run says.
class StepRecord final : public ServingWatch {
 public:
  struct Step {
    Batch batch;
    Seconds from{0}, to{0};
  };
  void step_started(const scheduler::Step& step, Seconds /*begin*/) override { steps.push_back({batch_of(step), {}, {}}); }
  void stage_done(std::size_t /*stage*/, Seconds entered, Seconds computed, Seconds /*free*/) override {
    steps.back().from = entered;
    steps.back().to = computed;
  }
  std::vector<Step> steps;
};

ServingGroup group_of(const Scenario& scenario) {
  return std::move(make_fleet(scenario, {{"toy-gpu", toy::toy_gpu_profile()}}, "").groups.front());
}

// Σ power × time over the record of the steps, by the ops of each, against the run's own sum and its series.
TEST(ServingEnergy, IsWhatTheStepsDrawWhileTheyRun) {
  for (const double cap : {0.0, 220.0}) {
    Scenario scenario = half_busy();
    scenario.cluster.power.device_cap = Watts{cap};
    ServingGroup group = group_of(scenario);
    ServingWorkload load = toy::kLoad;
    load.requests = 200;
    StepRecord record;
    const ServingRun run =
        serve_maxplus(group.replica, group.limits, generate_requests(load, 1), Draw{}, {}, &record);
    const RankCeiling& rank = group.replica.ranks(0).front();
    double joules = 0.0;
    for (const StepRecord::Step& step : record.steps) {
      const double span = (step.to - step.from).count();
      const double watts = group.replica.work(step.batch, 0, 1).added.front().value() / span;
      joules += std::min({watts, rank.added_limit.value(), rank.added_cap.value()}) * span;
    }
    EXPECT_NEAR(joules / run.totals.added.value(), 1.0, 1e-9) << cap;
    double sliced = 0.0;
    double busy = 0.0;
    for (const PowerSeries::Slice& slice : run.power.slices()) {
      sliced += slice.added.value();
      busy += slice.device_seconds;
    }
    EXPECT_NEAR(sliced / joules, 1.0, 1e-9) << cap;
    double expected_busy = 0.0;
    for (const StepRecord::Step& step : record.steps) expected_busy += (step.to - step.from).count();
    EXPECT_NEAR(busy / expected_busy, 1.0, 1e-9) << cap;
    EXPECT_EQ(run.ledger.share(Cause::kPowerCap) > 0.0, cap > 0.0);
    // Foreseen steps, which nobody watches, are the same.
    const ServingRun foreseen = serve_maxplus(group.replica, group.limits, generate_requests(load, 1), Draw{});
    EXPECT_NEAR(foreseen.totals.added / run.totals.added, 1.0, 1e-9);
  }
}

RC_GTEST_PROP(PowerSeries, KeepsEnergyHoweverLongTheRun, ()) {
  PowerSeries series;
  double joules = 0.0;
  Seconds at{0};
  const int steps = *rc::gen::inRange(1, 300);
  for (int i = 0; i < steps; ++i) {
    at += Seconds(*rc::gen::inRange(0, 2000) * 1e-3);
    const Seconds span(*rc::gen::inRange(1, 5000) * 1e-4);
    const double energy = *rc::gen::inRange(1, 1000);
    series.add(at, span, Joules{energy}, 2.0);
    at += span;
    joules += energy;
  }
  RC_ASSERT(series.slices().size() <= PowerSeries::kMostSlices);
  double sum = 0.0;
  for (const PowerSeries::Slice& slice : series.slices()) sum += slice.added.value();
  RC_ASSERT(std::abs(sum / joules - 1.0) < 1e-9);
  PowerSeries twice;
  twice.add(Seconds{0}, Seconds(1e-3), Joules{1}, 1.0);
  twice.merge(series, 2.0);
  double merged = 0.0;
  for (const PowerSeries::Slice& slice : twice.slices()) merged += slice.added.value();
  RC_ASSERT(std::abs(merged / (2.0 * joules + 1.0) - 1.0) < 1e-9);
}

struct Predicted {
  RunRecord record;
  std::optional<RunSamples> samples;
};

Predicted predicted(const Scenario& scenario, Fidelity fidelity, int draws = 0) {
  Predicted out;
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = draws;
  options.goodput_width = 0.0;  // all replicas: a sample of them may have no request
  options.samples = [&out](RunSamples samples) { out.samples = std::move(samples); };
  out.record = predict(scenario, {{"toy-gpu", toy::toy_gpu_profile()}}, options);
  return out;
}

// At any load, on both event rungs: neither the peak nor any point of the series, and energy = power × time.
RC_GTEST_PROP(PredictPowerCap, NoSampledInstantIsAboveTheCap, ()) {
  Scenario scenario = half_busy();
  scenario.plan.groups.front().replicas = *rc::gen::inRange<std::int64_t>(1, 40);
  const auto serving = static_cast<double>(scenario.plan.groups.front().replicas);
  ServingWorkload& load = scenario.workload.serving;
  load.requests = *rc::gen::inRange<std::int64_t>(1, 60);
  load.rate = Hertz{static_cast<double>(*rc::gen::inRange(100, 200000))};
  const double left = *rc::gen::inRange(31, 700);  // of 600 W each
  const double cap = 1.25 * (24000.0 + serving * (150.0 + left));
  scenario.cluster.power.site_cap = Watts{cap};
  for (const Fidelity fidelity : {Fidelity::kMaxplus, Fidelity::kSimgrid}) {
    const Predicted run = predicted(scenario, fidelity);
    const double peak = run.record.metrics.at("site_power_peak_w").p50;
    const double mean = run.record.metrics.at("site_power_w").p50;
    RC_ASSERT(peak <= cap * (1.0 + 1e-12));
    RC_ASSERT(run.record.metrics.at("site_power_peak_w").p90 <= cap * (1.0 + 1e-12));
    RC_ASSERT(mean <= peak * (1.0 + 1e-12));
    RC_ASSERT(mean >= 1.25 * 24000.0 * (1.0 - 1e-12));
    // The devices of the plan, whose power the record has, are a part of it.
    RC_ASSERT(mean >= 1.25 * (24000.0 - serving * 100.0 + run.record.metrics.at("power_w").p50) * (1.0 - 1e-9));
    RC_ASSERT(run.samples.has_value());
    validate_run_samples(*run.samples, "test");
    double pools = 0.0;
    double site = 0.0;
    for (const SampleSeries& series : run.samples->series) {
      if (series.quantity != "power_mean_w" && series.quantity != "power_most_w") continue;
      RC_ASSERT(series.points.size() <= FleetPower::kMostPoints);
      for (const SamplePoint& point : series.points) {
        RC_ASSERT(point.value <= static_cast<float>(cap) * 1.000001F);
        if (series.quantity == "power_mean_w") (series.subject == "site" ? site : pools) += static_cast<double>(point.value);
      }
    }
    RC_ASSERT(std::abs(site / pools - 1.0) < 1e-5);
  }
}

// Nobody knows what it would do: refused, not left out in silence.
TEST(PredictPowerCap, HostsCannotBeCapped) {
  Scenario scenario = toy::fleet_scenario(1, 2);
  EXPECT_NO_THROW(static_cast<void>(make_fleet(scenario, {{"toy", toy::slow_steps_profile()}}, "")));
  scenario.cluster.power.device_cap = Watts{10};
  try {
    static_cast<void>(make_fleet(scenario, {{"toy", toy::slow_steps_profile()}}, ""));
    FAIL() << "a host was capped";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(error.what()).find("what hosts draw is not predicted"), std::string::npos) << error.what();
  }
}

TEST(PredictPowerCap, ACapThatDoesNotBindChangesNothing) {
  Scenario scenario = half_busy();
  const Predicted free = predicted(scenario, Fidelity::kMaxplus, 20);
  scenario.cluster.power.site_cap = Watts{1.25 * (24000 + 40 * 750)};
  scenario.cluster.power.device_cap = Watts{700};
  const Predicted capped = predicted(scenario, Fidelity::kMaxplus, 20);
  EXPECT_EQ(capped.record.metrics, free.record.metrics);
  EXPECT_EQ(capped.record.ledger, free.record.ledger);
}

TEST(PredictPowerCap, TimeLostIsBookedAndEveryRungSlowsDown) {
  Scenario scenario = half_busy();
  scenario.workload.serving.arrival = Arrival::kTogether;
  for (const Fidelity fidelity : {Fidelity::kClosed, Fidelity::kMaxplus, Fidelity::kSimgrid}) {
    scenario.cluster.power.device_cap = Watts{0};
    const Predicted free = predicted(scenario, fidelity);
    scenario.cluster.power.device_cap = Watts{150};
    const Predicted capped = predicted(scenario, fidelity);
    const auto share = [](const RunRecord& record, Cause cause) {
      const auto found = std::find_if(record.ledger.begin(), record.ledger.end(),
                                      [&](const LedgerEntry& e) { return e.cause == cause; });
      return found == record.ledger.end() ? 0.0 : found->share;
    };
    EXPECT_EQ(share(free.record, Cause::kPowerCap), 0.0) << name_of(fidelity);
    EXPECT_GT(share(capped.record, Cause::kPowerCap), 0.0) << name_of(fidelity);
    EXPECT_GT(capped.record.metrics.at("ttft_s").p50, free.record.metrics.at("ttft_s").p50) << name_of(fidelity);
    EXPECT_LT(capped.record.metrics.at("power_w").p50, free.record.metrics.at("power_w").p50) << name_of(fidelity);
    EXPECT_EQ(capped.samples.has_value(), fidelity != Fidelity::kClosed);
  }
}

// 40 devices at 2 $/h and what the meter reads at 0.1 $/kWh, over the tokens of the same second.
TEST(PredictCost, IsDevicesAndEnergyOverTokens) {
  const std::string name = "dollars_per_million_tokens";
  Scenario scenario = half_busy();
  scenario.cluster.power.energy_price = DollarsPerJoule{0.1 / 3.6e6};
  EXPECT_FALSE(predicted(scenario, Fidelity::kMaxplus).record.metrics.contains(name)) << "devices without a price";
  scenario.cluster.pools.front().device_price = DollarsPerSecond{2.0 / 3600.0};
  const RunRecord record = predicted(scenario, Fidelity::kMaxplus, 20).record;
  const MetricValue& cost = record.metrics.at(name);
  const double tokens = record.metrics.at("output_tokens_per_s").p50;
  const double dollars_per_h = 40 * 2.0 + record.metrics.at("site_power_w").p50 / 1e3 * 0.1;
  EXPECT_NEAR(cost.p50 / (dollars_per_h / (tokens * 3600.0) * 1e6), 1.0, 1e-12);
  EXPECT_LT(cost.p10, cost.p50);
  EXPECT_LT(cost.p50, cost.p90);
  EXPECT_EQ(cost.provenance, record.metrics.at("site_power_w").provenance);
  // The closed rung has no power over time, so that energy that is paid leaves nothing to say.
  EXPECT_FALSE(predicted(scenario, Fidelity::kClosed).record.metrics.contains(name));
  scenario.cluster.power.energy_price = DollarsPerJoule{0};
  const RunRecord closed = predicted(scenario, Fidelity::kClosed).record;
  EXPECT_NEAR(closed.metrics.at(name).p50 * closed.metrics.at("output_tokens_per_s").p50, 40 * 2.0 / 3600.0 * 1e6, 1e-6);
}

}  // namespace
}  // namespace lindos::sim
