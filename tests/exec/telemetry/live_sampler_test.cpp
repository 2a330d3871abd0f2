// SPDX-License-Identifier: Apache-2.0
// What the sampler makes of counters, of devices that say something and of some that do not, and of ports.
#include "exec/telemetry/live_sampler.h"

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>
#include <stdlib.h>

namespace lindos::exec {
namespace {

class LiveSamplerTest : public ::testing::Test {
 protected:
  LiveSamplerTest() {
    std::string pattern = ::testing::TempDir() + "lindos-ib-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no scratch folder");
    root_ = pattern;
  }
  ~LiveSamplerTest() override { std::filesystem::remove_all(root_); }
  LiveSources sources(const DeviceTelemetry* devices = nullptr) {
    LiveSources s;
    s.counters = &counters_;
    s.devices = devices;
    s.cores = 2;
    s.processes = processes_of_run(false);
    s.infiniband = root_ / "infiniband";
    return s;
  }
  void port(std::uint64_t sent, std::uint64_t received) {
    const auto folder = root_ / "infiniband" / "mlx5_0" / "ports" / "1" / "counters";
    std::filesystem::create_directories(folder);
    std::ofstream(folder / "port_xmit_data") << sent << "\n";
    std::ofstream(folder / "port_rcv_data") << received << "\n";
  }
  LiveSampler::Sink sink() {
    return [this](const RunSample& s) {
      const std::lock_guard lock(mutex_);
      samples_.push_back(s);
    };
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return samples_.size();
  }
  static const SampledSubject& subject(const RunSample& sample, const std::string& name) {
    for (const SampledSubject& s : sample.subjects) {
      if (s.name == name) return s;
    }
    throw std::runtime_error("no subject " + name);
  }
  std::filesystem::path root_;
  LiveCounters counters_;
  std::mutex mutex_;
  std::vector<RunSample> samples_;
};

TEST_F(LiveSamplerTest, AShortRunHasOneSample) {
  LiveSampler sampler(sources(), sink(), Seconds{3600});
  counters_.begin();
  sampler.start("run 1 of 1");
  counters_.submitted(1, Seconds{0}, 1);
  counters_.sampled(Seconds{0.25}, {1});
  sampler.stop();
  ASSERT_EQ(samples_.size(), 1u);
  const RunSample& sample = samples_.front();
  EXPECT_EQ(sample.phase, "run 1 of 1");
  const SampledSubject& run = subject(sample, "run");
  EXPECT_EQ(run.values.at("ttft_s"), 0.25);
  EXPECT_DOUBLE_EQ(run.values.at("output_tokens_per_s"), run.values.at("mean_output_tokens_per_s"));
  EXPECT_NEAR(run.values.at("output_tokens_per_s"), 1.0 / sample.t_s, 1e-6 / sample.t_s);
  EXPECT_EQ(run.values.count("tpot_s"), 0u);  // no request ended with two tokens
  EXPECT_EQ(run.values.count("kv_used"), 0u);  // the driver said nothing of blocks yet
  EXPECT_GT(run.values.at("resident_bytes"), 0.0);
  EXPECT_EQ(subject(sample, "gpu").absent.at("power_w"), "the run computes on the CPU");
  EXPECT_NE(subject(sample, "InfiniBand").absent.at("sent_bytes_per_s").find("no InfiniBand driver"), std::string::npos);
}

TEST_F(LiveSamplerTest, SamplesGoOnOverRepeatsAndEndWithThem) {
  LiveSampler sampler(sources(), sink(), Seconds{0.002});
  for (const char* phase : {"run 1 of 2", "run 2 of 2"}) {
    counters_.begin();
    const std::size_t before = count();
    sampler.start(phase);
    while (count() < before + 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    sampler.stop();
  }
  const std::size_t all = count();
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(count(), all);
  for (std::size_t i = 1; i < samples_.size(); ++i) EXPECT_LT(samples_[i - 1].t_s, samples_[i].t_s);
  EXPECT_EQ(samples_.front().phase, "run 1 of 2");
  EXPECT_EQ(samples_.back().phase, "run 2 of 2");
}

TEST_F(LiveSamplerTest, DevicesSayWhatTheyHaveAndWhyNot) {
  DeviceTelemetry devices;
  devices.devices = {[] {
                       DeviceReading r;
                       r.power = Watts{612};
                       r.sm_clock = Hertz{1.98e9};
                       r.utilisation = 0.75;
                       r.clock_reasons = ClockReasons{static_cast<std::uint64_t>(ClockReason::kSwPowerCap)};
                       r.unavailable["memory_used"] = "Not Supported";
                       return r;
                     },
                     [] { return unavailable_reading("the driver is not loaded"); }};
  LiveSampler sampler(sources(&devices), sink(), Seconds{3600});
  sampler.start("run 1 of 1");
  sampler.stop();
  const SampledSubject& first = subject(samples_.at(0), "gpu 0");
  EXPECT_EQ(first.values.at("power_w"), 612.0);
  EXPECT_EQ(first.values.at("sm_clock_hz"), 1.98e9);
  EXPECT_EQ(first.values.at("gpu_busy"), 0.75);
  EXPECT_EQ(first.values.at("power_limited"), 1.0);
  EXPECT_EQ(first.values.at("heat_limited"), 0.0);
  EXPECT_EQ(first.absent.at("device_memory_bytes"), "Not Supported");
  EXPECT_EQ(first.absent.at("temperature_c"), "not reported");
  const SampledSubject& second = subject(samples_.at(0), "gpu 1");
  EXPECT_TRUE(second.values.empty());
  EXPECT_EQ(second.absent.at("power_w"), "the driver is not loaded");
}

TEST_F(LiveSamplerTest, PortsGiveRatesOfTheWindow) {
  port(1000, 500);
  LiveSampler sampler(sources(), sink(), Seconds{3600});
  sampler.start("run 1 of 1");
  port(3000, 400);  // and a counter that was reset
  sampler.stop();
  const RunSample& sample = samples_.at(0);
  const SampledSubject& own = subject(sample, "mlx5_0 port 1");
  EXPECT_NEAR(own.values.at("sent_bytes_per_s"), 2000.0 * 4.0 / sample.t_s, 1e-6 * 8000.0 / sample.t_s);
  EXPECT_NE(own.absent.at("received_bytes_per_s").find("was reset"), std::string::npos);
}

}  // namespace
}  // namespace lindos::exec
