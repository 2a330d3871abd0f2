// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_statistics.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::exec {
namespace {

DeviceReading at_power(double watts, std::optional<double> joules = std::nullopt) {
  DeviceReading r;
  r.power = Watts{watts};
  if (joules) r.energy = Joules{*joules};
  return r;
}

TEST(DeviceStatistics, TakesTheEnergyCounterForALongWindow) {
  DeviceStatistics statistics;
  statistics.add(Seconds{100}, at_power(1, 7'000));
  statistics.add(Seconds{103}, at_power(1, 8'000));
  statistics.add(Seconds{106}, at_power(1, 10'600));
  const DeviceSummary s = statistics.summary();
  EXPECT_EQ(s.window, Seconds{6});
  EXPECT_EQ(s.samples, 3u);
  // (10,600 − 7,000) J / 6 s = 600 W, whatever the samples say.
  EXPECT_EQ(s.power, (MeasuredPower{Watts{600}, Joules{3'600}, PowerSource::kEnergyCounter}));
}

TEST(DeviceStatistics, WeighsPowerSamplesByTimeInAShortWindow) {
  DeviceStatistics statistics;
  statistics.add(Seconds{0}, at_power(100, 0));
  statistics.add(Seconds{1}, at_power(300, 0));
  statistics.add(Seconds{4}, at_power(500, 0));
  // (1 s × 200 W + 3 s × 400 W) / 4 s = 350 W.
  EXPECT_EQ(statistics.summary().power, (MeasuredPower{Watts{350}, Joules{1'400}, PowerSource::kPowerSamples}));
}

// 500 W seen through a counter that steps every 100 ms, sampled every 10 ms over 0.97 s: from its first step (at
// 0.1 s) to its last (at 0.9 s) it says 500 W exactly; from the first sample to the last it would say 464 W.
TEST(DeviceStatistics, TakesTheEnergyCounterFromStepToStepInAShortWindow) {
  DeviceStatistics statistics;
  for (int i = 0; i <= 97; ++i) {
    const int steps = i / 10;
    statistics.add(Seconds{i / 100.0}, at_power(1, 1'000 + 50.0 * steps));
  }
  const DeviceSummary s = statistics.summary();
  ASSERT_TRUE(s.power.has_value());
  EXPECT_EQ(s.power->source, PowerSource::kEnergyCounter);
  EXPECT_NEAR(s.power->mean.value(), 500.0, 1e-9);
  EXPECT_NEAR(s.power->energy.value(), 500.0 * 0.97, 1e-9);
}

// The same counter sampled every 50 ms: 17 samples from step to step would blur it by 6 %.
TEST(DeviceStatistics, TakesPowerSamplesWhereTheStepsOfTheCounterAreBlurred) {
  DeviceStatistics statistics;
  for (int i = 0; i <= 19; ++i) statistics.add(Seconds{i / 20.0}, at_power(480, 1'000 + 50.0 * (i / 2)));
  const DeviceSummary s = statistics.summary();
  ASSERT_TRUE(s.power.has_value());
  EXPECT_EQ(s.power->source, PowerSource::kPowerSamples);
  EXPECT_NEAR(s.power->mean.value(), 480.0, 1e-9);
}

TEST(DeviceStatistics, DoesNotTrustAnEnergyCounterThatWasReset) {
  DeviceStatistics statistics;
  statistics.add(Seconds{0}, at_power(400, 9'000));
  statistics.add(Seconds{5}, at_power(400, 10));
  statistics.add(Seconds{10}, at_power(400, 20'000));
  EXPECT_EQ(statistics.summary().power, (MeasuredPower{Watts{400}, Joules{4'000}, PowerSource::kPowerSamples}));
}

TEST(DeviceStatistics, LeavesOutGapsWithoutAPowerReading) {
  DeviceStatistics statistics;
  statistics.add(Seconds{0}, at_power(200));
  statistics.add(Seconds{1}, at_power(400));
  statistics.add(Seconds{2}, DeviceReading{});
  statistics.add(Seconds{3}, at_power(900));
  // Only the first second is known: 300 W, taken for the whole window.
  EXPECT_EQ(statistics.summary().power, (MeasuredPower{Watts{300}, Joules{900}, PowerSource::kPowerSamples}));
}

TEST(DeviceStatistics, SummarisesClocksHeatAndMemory) {
  DeviceStatistics statistics;
  const double sm[] = {1980e6, 1200e6, 1980e6, 1755e6, 1980e6};
  for (int i = 0; i < 5; ++i) {
    DeviceReading r;
    r.sm_clock = Hertz{sm[i]};
    r.memory_clock = Hertz{3201e6};
    r.temperature_c = 50.0 + (i == 3 ? 20.0 : 0.0);
    r.memory_used = Bytes{1e9 * (i == 1 ? 9 : 2)};
    r.ecc_uncorrected = i < 4 ? 3 : 5;
    statistics.add(Seconds{0.05 * i}, r);
  }
  const DeviceSummary s = statistics.summary();
  EXPECT_EQ(s.sm_clock, (ClockRange{Hertz{1200e6}, Hertz{1980e6}}));
  EXPECT_EQ(s.memory_clock, (ClockRange{Hertz{3201e6}, Hertz{3201e6}}));
  EXPECT_EQ(s.temperature_max_c, 70.0);
  EXPECT_EQ(s.memory_used_max, Bytes{9e9});
  EXPECT_EQ(s.ecc_uncorrected, 2u);
}

TEST(DeviceStatistics, CountsSamplesUnderEachReasonAndEachLossOnce) {
  DeviceStatistics statistics;
  for (std::uint64_t bits : {0x1, 0x4, 0x4, 0x24}) {
    DeviceReading r;
    r.clock_reasons = ClockReasons{bits};
    statistics.add(Seconds{0}, r);
  }
  statistics.add(Seconds{0}, DeviceReading{});   // not among the samples that know
  const DeviceSummary s = statistics.summary();
  EXPECT_EQ(s.clock_reasons, (std::map<ClockReason, double>{{ClockReason::kGpuIdle, 0.25},
                                                            {ClockReason::kSwPowerCap, 0.75},
                                                            {ClockReason::kSwThermalSlowdown, 0.25}}));
  EXPECT_EQ(s.clock_losses, (std::map<ClockLoss, double>{{ClockLoss::kPowerCap, 0.5}, {ClockLoss::kThermal, 0.25}}));
}

TEST(DeviceStatistics, KnowsThatNoReasonWasAtWork) {
  DeviceStatistics statistics;
  DeviceReading r;
  r.clock_reasons = ClockReasons{0};
  statistics.add(Seconds{0}, r);
  const DeviceSummary s = statistics.summary();
  ASSERT_TRUE(s.clock_reasons.has_value());
  EXPECT_TRUE(s.clock_reasons->empty());
  EXPECT_EQ(s.unavailable.count("clock_reasons"), 0u);
}

TEST(DeviceStatistics, SaysWhyAValueIsAbsent) {
  DeviceStatistics statistics;
  DeviceReading r;
  r.memory_used = Bytes{1};
  for (const char* field : {"power", "energy", "sm_clock", "memory_clock", "temperature_c", "clock_reasons"}) {
    r.unavailable[field] = std::string("no ") + field;
  }
  r.ecc_uncorrected = 4;
  statistics.add(Seconds{0}, r);
  r.ecc_uncorrected = 1;
  statistics.add(Seconds{1}, r);
  const DeviceSummary s = statistics.summary();
  EXPECT_EQ(s.power, std::nullopt);
  EXPECT_EQ(s.clock_losses, std::nullopt);
  EXPECT_EQ(s.ecc_uncorrected, std::nullopt);
  EXPECT_EQ(s.unavailable, (Absences{{"power", "no power"},
                                     {"sm_clock", "no sm_clock"},
                                     {"memory_clock", "no memory_clock"},
                                     {"temperature_max_c", "no temperature_c"},
                                     {"clock_reasons", "no clock_reasons"},
                                     {"clock_losses", "no clock_reasons"},
                                     {"ecc_uncorrected", "the counter was reset within the window"}}));
  EXPECT_EQ(DeviceStatistics{}.summary().unavailable.at("power"), "too few samples");
}

// Against an integrator of its own; and a mean never leaves the range of its samples.
RC_GTEST_PROP(DeviceStatistics, MeanPowerLiesWithinTheSamples, ()) {
  const auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1000)));
  const auto gaps = *rc::gen::container<std::vector<int>>(values.size(), rc::gen::inRange(1, 50));
  DeviceStatistics statistics;
  double at = 0.0, energy = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i > 0) {
      const double gap = 1e-3 * gaps[i];
      at += gap;
      energy += gap * 0.5 * (values[i - 1] + values[i]);
    }
    statistics.add(Seconds{at}, at_power(values[i]));
  }
  const DeviceSummary s = statistics.summary();
  RC_ASSERT(s.power.has_value() == (values.size() > 1));
  if (!s.power) return;
  RC_ASSERT(std::abs(s.power->energy.value() - energy) <= 1e-9 * (1.0 + energy));
  RC_ASSERT(s.power->mean.value() >= *std::min_element(values.begin(), values.end()) - 1e-9);
  RC_ASSERT(s.power->mean.value() <= *std::max_element(values.begin(), values.end()) + 1e-9);
}

}  // namespace
}  // namespace lindos::exec
