// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/device_telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/runner/dynamic_library.h"
#include "tests/exec/telemetry/fake_nvml.h"

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

DeviceSummary with_power(double watts, double joules, PowerSource source = PowerSource::kEnergyCounter) {
  DeviceSummary s;
  s.power = MeasuredPower{Watts{watts}, Joules{joules}, source};
  s.sm_clock = ClockRange{Hertz{1755e6}, Hertz{1980e6}};
  s.temperature_max_c = 71;
  s.clock_losses.emplace();
  return s;
}

EngineRun with_output(std::vector<std::size_t> tokens) {
  EngineRun run;
  for (std::size_t n : tokens) run.outcome.outputs.emplace_back(n, 0);
  return run;
}

TEST(DeviceTelemetry, ReadsEachDeviceByItsBusId) {
  const auto library = DynamicLibrary::open({LINDOS_FAKE_NVML});   // keeps the fake's state
  const DeviceTelemetry telemetry =
      telemetry_of({{fake::kBusId, "NVIDIA H200"}, {"0000:aa:00.0", "NVIDIA H200"}, {fake::kBusId, "NVIDIA H200"}},
                   {{"cuda", "13.0"}}, {LINDOS_FAKE_NVML});
  EXPECT_EQ(telemetry.hardware, "2 × NVIDIA H200");
  EXPECT_EQ(telemetry.driver, "580.95.05");
  EXPECT_EQ(telemetry.libraries, (std::map<std::string, std::string>{{"cuda", "13.0"}, {"nvml", "13.580.95.05"}}));
  ASSERT_EQ(telemetry.devices.size(), 2u);
  EXPECT_TRUE(telemetry.devices[0]().sm_clock.has_value());
  EXPECT_EQ(telemetry.devices[1](), unavailable_reading("device 0000:aa:00.0: Not Found (NVML 6)"));
}

TEST(DeviceTelemetry, NamesTheKindsOfAMixedGroup) {
  const DeviceTelemetry telemetry = telemetry_of(
      {{"0000:01:00.0", "NVIDIA H200"}, {"0000:02:00.0", "NVIDIA A100"}, {"0000:03:00.0", "NVIDIA H200"}}, {},
      {LINDOS_FAKE_NVML});
  EXPECT_EQ(telemetry.hardware, "2 × NVIDIA H200, 1 × NVIDIA A100");
}

TEST(DeviceTelemetry, SaysThatThereIsNoNvml) {
  const DeviceTelemetry telemetry = telemetry_of({{fake::kBusId, "NVIDIA H200"}}, {}, {"/nowhere/libnvidia-ml.so.1"});
  EXPECT_EQ(telemetry.hardware, "1 × NVIDIA H200");
  EXPECT_THAT(telemetry.driver, HasSubstr("not available: /nowhere/libnvidia-ml.so.1: "));
  DeviceWatch watch(telemetry);
  watch.start();
  const std::vector<DeviceSummary> use = watch.stop();
  RunRecord record;
  record_devices(record, telemetry, {with_output({4})}, {use});
  EXPECT_TRUE(record.metrics.empty());
  EXPECT_THAT(describe(use), HasSubstr("power not available: /nowhere/libnvidia-ml.so.1: "));
  EXPECT_THAT(describe(use), HasSubstr("clock reasons not available: /nowhere/libnvidia-ml.so.1: "));
}

TEST(DeviceTelemetry, WatchesAllDevicesTogether) {
  DeviceTelemetry telemetry;
  for (double watts : {300.0, 500.0}) {
    telemetry.devices.push_back([watts] {
      DeviceReading r;
      r.power = Watts{watts};
      return r;
    });
  }
  DeviceWatch watch(telemetry);
  for (int repeat = 0; repeat < 2; ++repeat) {
    watch.start();
    const std::vector<DeviceSummary> use = watch.stop();
    ASSERT_EQ(use.size(), 2u);
    EXPECT_NEAR(use[0].power.value().mean.value(), 300.0, 1e-9);
    EXPECT_NEAR(use[1].power.value().mean.value(), 500.0, 1e-9);
  }
}

TEST(DeviceTelemetry, PutsPowerAndEnergyIntoTheRecord) {
  DeviceTelemetry telemetry;
  telemetry.hardware = "2 × NVIDIA H200";
  telemetry.driver = "580.95.05";
  telemetry.libraries = {{"cuda", "13.0"}};
  RunRecord record;
  record.environment.libraries = {{"fmt", "9"}};
  record.environment.host = "node7";
  const std::vector<EngineRun> runs = {with_output({60, 40}), with_output({60, 40}), with_output({60, 40})};
  record_devices(record, telemetry, runs,
                 {{with_power(300, 1'500), with_power(310, 1'500)},
                  {with_power(400, 2'000), with_power(410, 2'000)},
                  {with_power(350, 1'750), with_power(360, 1'750)}});
  // Sum over devices, median over repeats; 3,500 J for 100 tokens.
  const MetricValue& power = record.metrics.at("power_w");
  EXPECT_DOUBLE_EQ(power.p50, 710.0);
  EXPECT_LE(power.p10, power.p50);
  EXPECT_GE(power.p90, power.p50);
  EXPECT_EQ(power.unit, "W");
  EXPECT_EQ(power.provenance, "measured");
  const MetricValue& energy = record.metrics.at("energy_per_token_j");
  EXPECT_DOUBLE_EQ(energy.p50, 35.0);
  EXPECT_EQ(energy.unit, "J");
  EXPECT_EQ(record.environment.hardware, "2 × NVIDIA H200");
  EXPECT_EQ(record.environment.driver, "580.95.05");
  EXPECT_EQ(record.environment.host, "node7");
  EXPECT_EQ(record.environment.libraries, (std::map<std::string, std::string>{{"cuda", "13.0"}, {"fmt", "9"}}));
}

TEST(DeviceTelemetry, LeavesOutWhatOneDeviceOfOneRunDoesNotGive) {
  RunRecord record;
  DeviceSummary silent;
  silent.unavailable["power"] = "Not Supported (NVML 3)";
  const std::vector<EngineRun> runs = {with_output({5}), with_output({5})};
  record_devices(record, {}, runs, {{with_power(1, 1), with_power(1, 1)}, {with_power(1, 1), silent}});
  EXPECT_TRUE(record.metrics.empty());
  record_devices(record, {}, {with_output({})}, {{with_power(1, 1)}});
  EXPECT_EQ(record.metrics.count("power_w"), 1u);
  EXPECT_EQ(record.metrics.count("energy_per_token_j"), 0u);
}

TEST(DeviceTelemetry, DescribesTheWorstOfTheDevices) {
  DeviceSummary hot = with_power(200, 1, PowerSource::kPowerSamples);
  hot.temperature_max_c = 88;
  hot.clock_losses = {{ClockLoss::kThermal, 0.5}};
  hot.sm_clock = ClockRange{Hertz{900e6}, Hertz{1500e6}};
  EXPECT_EQ(describe({with_power(612, 1)}),
            "612 W (energy counter), SM 1980 MHz (min 1755), 71 °C, clocks not limited");
  EXPECT_EQ(describe({with_power(612, 1), hot}),
            "812 W (power samples), SM 1500 MHz (min 900), 88 °C, thermal in 50 % of samples");
}

}  // namespace
}  // namespace lindos::exec
