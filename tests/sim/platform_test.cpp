// SPDX-License-Identifier: Apache-2.0
#include "sim/platform.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "sim/isolated.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

namespace sg = simgrid::s4u;

struct Flow {
  std::size_t from = 0;
  std::size_t to = 0;
  std::uint64_t bytes = 0;
};

// End time of each flow, all started at 0, in a process of their own.
std::vector<double> end_times(const Fabric& fabric, const std::vector<PlatformDevice>& devices,
                              const std::vector<Flow>& flows) {
  const std::string bytes = run_isolated([&] {
    std::vector<double> ends(flows.size());
    Platform platform(fabric, devices);
    for (const Flow& f : flows) platform.connect(f.from, f.to);
    platform.seal();
    int payload = 0;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      const std::string name = "flow-" + std::to_string(i);
      sg::Actor::create(name, platform.host(flows[i].from), [&, i, name] {
        sg::Mailbox::by_name(name)->put(&payload, flows[i].bytes);
      });
      sg::Actor::create(name, platform.host(flows[i].to), [&, i, name] {
        sg::Mailbox::by_name(name)->get<int>();
        ends[i] = sg::Engine::get_clock();
      });
    }
    platform.run();
    return std::string(reinterpret_cast<const char*>(ends.data()), ends.size() * sizeof(double));
  });
  std::vector<double> ends(flows.size());
  EXPECT_EQ(bytes.size(), ends.size() * sizeof(double));
  std::memcpy(ends.data(), bytes.data(), bytes.size());
  return ends;
}

std::vector<PlatformDevice> gpus(std::int64_t count) {
  std::vector<PlatformDevice> devices;
  for (std::int64_t i = 0; i < count; ++i) devices.push_back({toy::gpu_device(), i, 2, {}});
  return devices;
}

Fabric plain_fabric() {
  Fabric fabric;
  fabric.kind = "rail-fat-tree";
  return fabric;
}

TEST(Platform, AFlowTakesExactlySizeOverBandwidth) {
  // 1 GB over NVLink of 100 GB/s = 10 ms; over the NIC of 10 GB/s = 100 ms.
  EXPECT_NEAR(end_times(plain_fabric(), gpus(4), {{0, 1, 1000000000}})[0], 0.010, 1e-12);
  EXPECT_NEAR(end_times(plain_fabric(), gpus(4), {{1, 2, 1000000000}})[0], 0.100, 1e-12);
}

TEST(Platform, EfficiencyShrinksTheNicOnly) {
  Fabric fabric = plain_fabric();
  fabric.efficiency = 0.5;
  EXPECT_NEAR(end_times(fabric, gpus(4), {{0, 1, 1000000000}})[0], 0.010, 1e-12);
  EXPECT_NEAR(end_times(fabric, gpus(4), {{1, 2, 1000000000}})[0], 0.200, 1e-12);
}

TEST(Platform, TwoFlowsIntoOnePortShareItEvenly) {
  // Both into device 2's NIC at 10 GB/s: each runs at 5 GB/s until both end after 200 ms.
  const auto ends = end_times(plain_fabric(), gpus(4), {{0, 2, 1000000000}, {1, 2, 1000000000}});
  EXPECT_NEAR(ends[0], 0.200, 1e-9);
  EXPECT_NEAR(ends[1], 0.200, 1e-9);
}

TEST(Platform, AFlowGetsTheWholeLinkOnceTheOtherEnds) {
  // 0.5 GB and 1 GB at 5 GB/s each: the short one ends at 100 ms, the long one has 0.5 GB left, 50
  // ms more.
  const auto ends = end_times(plain_fabric(), gpus(4), {{0, 2, 500000000}, {1, 2, 1000000000}});
  EXPECT_NEAR(ends[0], 0.100, 1e-9);
  EXPECT_NEAR(ends[1], 0.150, 1e-9);
}

TEST(Platform, FlowsOfDifferentPortsDoNotMeet) {
  const auto ends = end_times(plain_fabric(), gpus(4), {{0, 2, 1000000000}, {1, 3, 1000000000}});
  EXPECT_NEAR(ends[0], 0.100, 1e-12);
  EXPECT_NEAR(ends[1], 0.100, 1e-12);
}

TEST(Platform, AnOversubscribedLeafIsAPool) {
  // 8 ports at 3 : 1 = 6 down, 2 up: 12 devices of one rail under leaf 0, up-links of 6/3 = 2 NIC
  // rates. Four flows out of it share 20 GB/s: 5 GB/s each, 200 ms for 1 GB.
  Fabric fabric = plain_fabric();
  fabric.switch_ports = 8;
  fabric.leaf_oversubscription = 3.0;
  const auto ends = end_times(
      fabric, gpus(24),
      {{0, 12, 1000000000}, {2, 14, 1000000000}, {4, 16, 1000000000}, {6, 18, 1000000000}});
  for (const double end : ends) EXPECT_NEAR(end, 0.200, 1e-9);
}

TEST(Platform, RanksOfAHostShareItsMemory) {
  std::vector<PlatformDevice> ranks(4, {toy::host_device(), 0, 1, BytesPerSecond(10e9)});
  const auto ends = end_times({}, ranks, {{0, 1, 1000000000}, {2, 3, 1000000000}});
  EXPECT_NEAR(ends[0], 0.200, 1e-9);
  EXPECT_NEAR(ends[1], 0.200, 1e-9);
}

TEST(Platform, NoLinkIsAnAnswerThatNamesTheDevices) {
  std::vector<PlatformDevice> devices = gpus(4);
  for (PlatformDevice& d : devices) d.device.scale_out_bandwidth = BytesPerSecond(0);
  try {
    static_cast<void>(end_times(plain_fabric(), devices, {{1, 2, 1}}));
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(e.what()).find("device 1 to device 2"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace lindos::sim
