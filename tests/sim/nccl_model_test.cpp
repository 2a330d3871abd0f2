// SPDX-License-Identifier: Apache-2.0
#include "sim/nccl_model.h"

#include <cmath>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace lindos::sim {
namespace {

constexpr double kGB = 1e9;
constexpr double kMicro = 1e-6;

// 450 GB/s NVLink and a 400 Gb/s NIC that delivers 48 GB/s (nccl-tests #290: 46-48).
NcclPaths hopper() {
  NcclPaths paths;
  paths.intra = BytesPerSecond(450 * kGB);
  paths.inter = BytesPerSecond(48 * kGB);
  return paths;
}

NcclPaths gb200() {
  NcclPaths paths;
  paths.intra = BytesPerSecond(900 * kGB);
  paths.inter = BytesPerSecond(48 * kGB);
  return paths;
}

// Relative error against a measured all-reduce in milliseconds.
double error_of(double gib, std::int64_t ranks, std::int64_t per_node, const NcclPaths& paths,
                NcclArch arch, double measured_ms) {
  const CollectiveTime t =
      nccl_time(CollectiveOp::kAllReduce, Bytes(gib * kGiB), ranks, per_node, paths, arch);
  return t.time.count() / (measured_ms * 1e-3) - 1.0;
}

TEST(NcclModel, SixtyFourHopperGpusAreBoundByTheirNics) {
  // coreweave/nccl-tests @cb865533. Bus = 8 NICs × 48 = 384 GB/s; 8 GiB: 2·63/64·8.59e9/384e9 =
  // 44.04 ms and 0.25 ms to fill.
  EXPECT_NEAR(error_of(8.0, 64, 8, hopper(), NcclArch::kHopper, 43.980), 0.0, 0.015);
  EXPECT_NEAR(error_of(4.0, 64, 8, hopper(), NcclArch::kHopper, 22.181), 0.0, 0.02);
  EXPECT_NEAR(error_of(2.0, 64, 8, hopper(), NcclArch::kHopper, 11.163), 0.0, 0.035);
  EXPECT_NEAR(error_of(0.5, 64, 8, hopper(), NcclArch::kHopper, 2.985), 0.0, 0.08);
}

TEST(NcclModel, EightHopperGpusReachTheBusOfNvls) {
  // Azure ND_H100_v5, Azure/AI-benchmarking-guide @8fd0c6e1.
  EXPECT_NEAR(error_of(8.0, 8, 8, hopper(), NcclArch::kHopper, 31.391), 0.0, 0.01);
  EXPECT_NEAR(error_of(2.0, 8, 8, hopper(), NcclArch::kHopper, 7.956), 0.0, 0.01);
  EXPECT_NEAR(error_of(0.5, 8, 8, hopper(), NcclArch::kHopper, 2.143), 0.0, 0.02);
}

TEST(NcclModel, TwoHopperNodesOnSlowNicsUseThemInBothDirections) {
  // GCP a3-mega, 2 × 8 GPUs with 200 Gb/s NICs over GPUDirect-TCPX, not among the fitted rows: 8
  // GiB in 47.5 ms is a bus of 339 GB/s, more than the 8 × 25 GB/s of a ring.
  NcclPaths paths = hopper();
  paths.inter = BytesPerSecond(24 * kGB);
  EXPECT_NEAR(error_of(8.0, 16, 8, paths, NcclArch::kHopper, 47.535), 0.0, 0.13);
}

TEST(NcclModel, RacksOfGb200) {
  // coreweave/nccl-tests @cb865533: 1, 2 and 20 racks of 72, 512 MiB to 16 GiB.
  const NcclArch arch = NcclArch::kBlackwell;
  EXPECT_NEAR(error_of(0.5, 72, 72, gb200(), arch, 1.8067), 0.0, 0.03);
  EXPECT_NEAR(error_of(8.0, 72, 72, gb200(), arch, 20.299), 0.0, 0.02);
  EXPECT_NEAR(error_of(0.5, 144, 72, gb200(), arch, 2.1568), 0.0, 0.05);
  EXPECT_NEAR(error_of(16.0, 144, 72, gb200(), arch, 42.067), 0.0, 0.01);
  EXPECT_NEAR(error_of(0.5, 1440, 72, gb200(), arch, 7.1084), 0.0, 0.05);
  EXPECT_NEAR(error_of(16.0, 1440, 72, gb200(), arch, 84.625), 0.0, 0.01);
}

TEST(NcclModel, FourRacksLieBetweenTwoAndTwenty) {
  // In logarithms: x = ln 2 / ln 10 = 0.30103; bus 828·(429/828)^x = 679.2 GB/s, fill
  // 870·(4600/870)^x = 1436 us. n = 288: 16 GiB moves 2·287/288·17.18e9/679.2e9 = 50.41 ms.
  const CollectiveTime t = nccl_time(CollectiveOp::kAllReduce, Bytes(16.0 * kGiB), 288, 72, gb200(),
                                     NcclArch::kBlackwell);
  EXPECT_EQ(t.algorithm, NcclAlgorithm::kNvlsTree);
  EXPECT_NEAR(t.transfer.count(), 50.41e-3, 0.01e-3);
  EXPECT_NEAR(t.latency.count(), 1.436e-3, 0.002e-3);
  EXPECT_FALSE(t.extrapolated);
  EXPECT_TRUE(
      nccl_time(CollectiveOp::kAllReduce, Bytes(1e9), 21 * 72, 72, gb200(), NcclArch::kBlackwell)
          .extrapolated);
}

TEST(NcclModel, SmallAllReduceInANodeTakesTheLlRing) {
  // 8 ranks: Ring LL 6.6 + 14·0.6 = 15.0 us; Tree LL 6.8 + 2·7·0.6 = 15.2 us; NVLS 25 us. Measured
  // floor 15.6 us (handbook §2.1). 512 bytes add 512·(14/8)/141e9 s = 6 ns.
  const CollectiveTime t =
      nccl_time(CollectiveOp::kAllReduce, Bytes(512), 8, 8, hopper(), NcclArch::kHopper);
  EXPECT_EQ(t.algorithm, NcclAlgorithm::kRing);
  EXPECT_EQ(t.protocol, NcclProtocol::kLl);
  EXPECT_NEAR(t.latency.count(), 15.0 * kMicro, 1e-12);
  EXPECT_NEAR(t.transfer.count(), 512.0 * 14.0 / 8.0 / 141e9, 1e-15);
}

TEST(NcclModel, SmallAllReduceOverNodesClimbsTheTree) {
  // 64 ranks on 8 nodes: Tree LL 6.8 + 2·(7·0.6 + 3·5.0) = 45.2 us. Ring LL pays a post of 1 us on
  // each of 126 − 14 steps inside: 6.6 + 112 + 14·2.7 = 156.4 us.
  const CollectiveTime t =
      nccl_time(CollectiveOp::kAllReduce, Bytes(64), 64, 8, hopper(), NcclArch::kHopper);
  EXPECT_EQ(t.algorithm, NcclAlgorithm::kTree);
  EXPECT_EQ(t.protocol, NcclProtocol::kLl);
  EXPECT_NEAR(t.latency.count(), 45.2 * kMicro, 1e-12);
}

TEST(NcclModel, GatherOverNodesWithOneRankEach) {
  // What gradients of tensor-parallel ranks do. 128 ranks, one NIC each.
  //   PAT          8 + 7·14/3.5 + 128·2.8 = 394.4 us at 0.75·48 = 36 GB/s
  //   Ring LL128   14 + 127·8.5 = 1093.5 us          at 0.92·48·128/127 = 44.51 GB/s
  //   Ring Simple  8.4 + 127·14 = 1786.4 us          at 48·128/127 = 48.38 GB/s
  // PAT up to 699.1 us/(1/36 − 1/44.51 s/GB) = 132 MB, Simple from 692.9/(1/44.51 − 1/48.38) = 386
  // MB.
  const auto gather = [](double bytes) {
    return nccl_time(CollectiveOp::kAllGather, Bytes(bytes), 128, 1, hopper(), NcclArch::kHopper);
  };
  EXPECT_EQ(gather(130e6).algorithm, NcclAlgorithm::kPat);
  EXPECT_NEAR(gather(130e6).latency.count(), 394.4 * kMicro, 1e-9);
  EXPECT_NEAR(gather(130e6).transfer.count(), 130e6 / 36e9, 1e-9);
  EXPECT_EQ(gather(134e6).protocol, NcclProtocol::kLl128);
  EXPECT_EQ(gather(384e6).protocol, NcclProtocol::kLl128);
  EXPECT_EQ(gather(388e6).algorithm, NcclAlgorithm::kRing);
  EXPECT_EQ(gather(388e6).protocol, NcclProtocol::kSimple);
  EXPECT_NEAR(gather(2e9).time.count(), 1786.4 * kMicro + 2e9 * 127.0 / 128.0 / 48e9, 1e-9);
}

TEST(NcclModel, AllToAllMovesLocalAndRemoteBytesSideBySide) {
  // 16 ranks on 2 nodes, 16 MB each: 7 MB inside at 315 GB/s = 22.2 us, 8 MB outside at 48 GB/s =
  // 166.7 us. Start 6.2 + 7·0.15 + 14 + 8·1 = 29.25 us.
  const CollectiveTime t =
      nccl_time(CollectiveOp::kAllToAll, Bytes(16e6), 16, 8, hopper(), NcclArch::kHopper);
  EXPECT_NEAR(t.transfer.count(), 8e6 / 48e9, 1e-12);
  EXPECT_NEAR(t.latency.count(), 29.25 * kMicro, 1e-12);
}

TEST(NcclModel, FabricLatencyCountsPerNetworkHop) {
  NcclPaths far = hopper();
  far.hop_latency = Seconds(2e-6);
  // Tree LL over 8 nodes climbs 3 levels twice: 6 · 2 us more.
  const auto time = [](const NcclPaths& paths) {
    return nccl_time(CollectiveOp::kAllReduce, Bytes(64), 64, 8, paths, NcclArch::kHopper)
        .latency.count();
  };
  EXPECT_NEAR(time(far) - time(hopper()), 12.0 * kMicro, 1e-12);
}

TEST(NcclModel, NothingToMoveCostsNothing) {
  EXPECT_EQ(nccl_time(CollectiveOp::kAllReduce, Bytes(1e9), 1, 8, hopper(), NcclArch::kHopper)
                .time.count(),
            0.0);
  EXPECT_EQ(
      nccl_time(CollectiveOp::kAllReduce, Bytes(0), 8, 8, hopper(), NcclArch::kHopper).time.count(),
      0.0);
}

TEST(NcclModel, RingFormOfAPublishedFit) {
  // 64 H100: 0.25 ms + 2·63/64·8.59e9/387e9 = 43.95 ms (handbook §2.3).
  EXPECT_NEAR(ring_time(CollectiveOp::kAllReduce, Bytes(8.0 * kGiB), 64, Seconds(0.25e-3),
                        BytesPerSecond(387 * kGB))
                  .count(),
              43.95e-3, 0.01e-3);
  EXPECT_DOUBLE_EQ(bus_factor(CollectiveOp::kReduceScatter, 8), 0.875);
}

RC_GTEST_PROP(NcclModelProperty, MoreBytesNeverTakeLess, ()) {
  const auto op = *rc::gen::element(CollectiveOp::kAllReduce, CollectiveOp::kAllGather,
                                    CollectiveOp::kReduceScatter, CollectiveOp::kAllToAll);
  const std::int64_t per_node = *rc::gen::element<std::int64_t>(1, 2, 4, 8);
  const std::int64_t nodes = *rc::gen::inRange<std::int64_t>(1, 300);
  const double bytes = std::exp2(*rc::gen::inRange(260, 330) / 10.0);
  const auto time = [&](double b) {
    return nccl_time(op, Bytes(b), nodes * per_node, per_node, hopper(), NcclArch::kHopper).time;
  };
  // Trees are rated by size in steps of two, so only a doubling is comparable.
  RC_ASSERT(time(2.0 * bytes) >= time(bytes));
}

RC_GTEST_PROP(NcclModelProperty, NoRateExceedsTheLinks, ()) {
  const std::int64_t per_node = *rc::gen::inRange<std::int64_t>(1, 9);
  const std::int64_t nodes = *rc::gen::inRange<std::int64_t>(2, 300);
  const std::int64_t ranks = nodes * per_node;
  const Bytes bytes(1e9);
  const CollectiveTime t =
      nccl_time(CollectiveOp::kAllGather, bytes, ranks, per_node, hopper(), NcclArch::kHopper);
  // Every node receives what the other nodes hold through its NICs.
  const double remote = 1e9 * static_cast<double>(nodes - 1) / static_cast<double>(nodes);
  RC_ASSERT(t.time.count() >= remote / (static_cast<double>(per_node) * 48 * kGB) * (1.0 - 1e-9));
}

RC_GTEST_PROP(NcclModelProperty, PartsSumToTheWhole, ()) {
  const auto op = *rc::gen::element(CollectiveOp::kAllReduce, CollectiveOp::kAllGather,
                                    CollectiveOp::kAllToAll);
  const CollectiveTime t = nccl_time(op, Bytes(std::exp2(*rc::gen::inRange(3, 34))),
                                     *rc::gen::inRange<std::int64_t>(2, 2000), 8, hopper(),
                                     *rc::gen::element(NcclArch::kHopper, NcclArch::kBlackwell));
  RC_ASSERT(t.latency.count() >= 0.0 && t.transfer.count() > 0.0);
  RC_ASSERT(std::abs((t.latency + t.transfer).count() - t.time.count()) < 1e-12);
}

}  // namespace
}  // namespace lindos::sim
