// SPDX-License-Identifier: Apache-2.0
#include "cli/place.h"

#include <string>
#include <variant>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::cli {
namespace {

using exec::Unavailable;
using exec::cuda::DeviceInfo;
using exec::cuda::is_kind_of;
using ::testing::HasSubstr;

Device device_of(const std::string& name, const std::string& label, int capability, double memory) {
  Device device;
  device.name = name;
  device.label = label;
  device.compute_capability = capability;
  device.memory = Bytes{memory};
  if (capability > 0) device.peak[Dtype::kBf16] = FlopPerSecond{989e12};
  return device;
}

Scenario scenario_of(const Device& device) {
  Scenario scenario;
  scenario.name = "one GPU";
  scenario.devices[device.name] = device;
  Pool pool;
  pool.name = "pool";
  pool.node.device = device.name;
  pool.nodes = 1;
  scenario.cluster.pools = {pool};
  return scenario;
}

const Device kH200 = device_of("h200-sxm", "NVIDIA H200 SXM5 141 GB", 90, 141.0 * (1 << 30));
const Device kCpu = device_of("this-machine", "this machine's CPU", 0, 0.0);

DeviceInfo gpu_of(const std::string& name, int capability, double memory, int ordinal = 0) {
  DeviceInfo gpu;
  gpu.ordinal = ordinal;
  gpu.name = name;
  gpu.compute_capability = capability;
  gpu.memory = Bytes{memory};
  return gpu;
}

FindGpus finds(std::vector<DeviceInfo> gpus) {
  return [gpus] { return std::variant<std::vector<DeviceInfo>, Unavailable>(gpus); };
}
FindGpus finds_none(const std::string& reason) {
  return [reason] { return std::variant<std::vector<DeviceInfo>, Unavailable>(Unavailable{reason}); };
}

std::string refusal(const Scenario& scenario, DeviceChoice choice, const FindGpus& find,
                    ErrorKind kind = ErrorKind::kInfeasible) {
  try {
    (void)place_of(scenario, choice, find);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind);
    return e.what();
  }
  ADD_FAILURE() << "not refused";
  return {};
}

TEST(Place, KindsOfGpu) {
  EXPECT_TRUE(is_kind_of(gpu_of("NVIDIA H200", 90, 150.1e9), kH200));
  EXPECT_FALSE(is_kind_of(gpu_of("NVIDIA H100 80GB HBM3", 90, 85.0e9), kH200));
  EXPECT_FALSE(is_kind_of(gpu_of("NVIDIA H200", 100, 150.1e9), kH200));
  const Device a100 = device_of("a100-80-sxm", "NVIDIA A100 SXM4 80 GB", 80, 80.0 * (1 << 30));
  EXPECT_TRUE(is_kind_of(gpu_of("NVIDIA A100-SXM4-80GB", 80, 85.1e9), a100));
  EXPECT_FALSE(is_kind_of(gpu_of("NVIDIA A100-SXM4-40GB", 80, 42.4e9), a100));
  const Device gb200 = device_of("gb200-nvl72", "NVIDIA GB200 NVL72, one GPU", 100, 189e9);
  EXPECT_TRUE(is_kind_of(gpu_of("NVIDIA GB200", 100, 189e9), gb200));
  EXPECT_FALSE(is_kind_of(gpu_of("NVIDIA B200", 100, 189e9), gb200));
}

TEST(Place, LibrariesAreNamedWithTheirVersions) {
  DeviceInfo gpu = gpu_of("NVIDIA H200", 90, 150.1e9);
  gpu.driver = "13.0";
  gpu.runtime = "13.0";
  const auto libraries = exec::cuda::libraries_of(gpu);
  EXPECT_EQ(libraries.at("cuda-driver"), "13.0");
  EXPECT_EQ(libraries.at("cuda-runtime"), "13.0");
  // Where there is one.
  if (libraries.contains("cublaslt")) {
    EXPECT_THAT(libraries.at("cublaslt"), ::testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  }
}

TEST(Place, TheCpuNeedsNoGpu) {
  const Scenario scenario = scenario_of(kCpu);
  const FindGpus never = []() -> std::variant<std::vector<DeviceInfo>, Unavailable> {
    ADD_FAILURE() << "asked for GPUs";
    return Unavailable{};
  };
  for (const DeviceChoice choice : {DeviceChoice::kAuto, DeviceChoice::kCpu}) {
    const Place place = place_of(scenario, choice, never);
    EXPECT_EQ(place.backend(), exec::Backend::kCpu);
    EXPECT_EQ(place.device->name, "this-machine");
  }
  EXPECT_THAT(refusal(scenario, DeviceChoice::kCuda, never, ErrorKind::kUsage),
              HasSubstr("needs a scenario of an NVIDIA GPU"));
}

TEST(Place, TheScenariosKindOfGpuIsTaken) {
  const Scenario scenario = scenario_of(kH200);
  const Place place = place_of(scenario, DeviceChoice::kAuto, finds({gpu_of("NVIDIA H200", 90, 150.1e9)}));
  EXPECT_EQ(place.backend(), exec::Backend::kCuda);
  EXPECT_EQ(place.device->name, "h200-sxm");
  EXPECT_EQ(place.gpu->name, "NVIDIA H200");
  EXPECT_THAT(refusal(scenario, DeviceChoice::kCpu, finds({})),
              HasSubstr("--device cpu takes this machine's CPU only"));
}

TEST(Place, AnotherKindOnlyWhenAskedFor) {
  const Scenario scenario = scenario_of(kH200);
  const DeviceInfo h100 = gpu_of("NVIDIA H100 80GB HBM3", 90, 85.0e9);
  const std::string reason = refusal(scenario, DeviceChoice::kAuto, finds({h100}));
  EXPECT_THAT(reason, HasSubstr("needs NVIDIA H200 SXM5 141 GB"));
  EXPECT_THAT(reason, HasSubstr("NVIDIA H100 80GB HBM3"));
  EXPECT_THAT(reason, HasSubstr("--device cuda"));
  EXPECT_EQ(place_of(scenario, DeviceChoice::kCuda, finds({h100})).gpu->name, "NVIDIA H100 80GB HBM3");
  // The engine takes the first; a second that fits is named.
  EXPECT_THAT(refusal(scenario, DeviceChoice::kAuto, finds({h100, gpu_of("NVIDIA H200", 90, 150.1e9, 1)})),
              HasSubstr("CUDA_VISIBLE_DEVICES=1"));
}

TEST(Place, WithoutAGpuTheReasonIsNamed) {
  for (const DeviceChoice choice : {DeviceChoice::kAuto, DeviceChoice::kCuda}) {
    const std::string reason = refusal(scenario_of(kH200), choice, finds_none("no NVIDIA driver on this machine"));
    EXPECT_THAT(reason, HasSubstr("no NVIDIA driver on this machine"));
    EXPECT_THAT(reason, HasSubstr("`lindos predict` answers for it"));
  }
}

TEST(Place, MixedPoolsDoNotRun) {
  Scenario scenario = scenario_of(kH200);
  scenario.devices[kCpu.name] = kCpu;
  Pool pool = scenario.cluster.pools.front();
  pool.name = "hosts";
  pool.node.device = kCpu.name;
  scenario.cluster.pools.push_back(pool);
  EXPECT_THAT(refusal(scenario, DeviceChoice::kAuto, finds({gpu_of("NVIDIA H200", 90, 150.1e9)})),
              HasSubstr("devices of one kind"));
}

}  // namespace
}  // namespace lindos::cli
