// SPDX-License-Identifier: Apache-2.0
// The sum over ranks on the device, against a sum on the host; needs a GPU.
#include "exec/cuda/tensor_group.h"

#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/nccl.h"
#include "scenarios/error.h"
#include "tests/exec/cuda/tensor_sums.h"

namespace lindos::exec::cuda::test {

namespace {

void expect_sums_of_threads(Element element, AllReduce choice, int ranks, std::int64_t rows) {
  constexpr int kRounds = 24;
  auto comms = make_thread_communicators(ranks);
  std::vector<std::vector<std::vector<Number>>> results(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r) {
    threads.emplace_back(
        [&, r] { results[static_cast<std::size_t>(r)] = sums_of(*comms[static_cast<std::size_t>(r)], element, choice, kRounds, rows); });
  }
  for (std::thread& t : threads) t.join();
  for (int round = 0; round < kRounds; ++round) {
    for (const auto& of_rank : results) EXPECT_EQ(of_rank[static_cast<std::size_t>(round)], expected(element, ranks, round, rows));
  }
}

TEST_F(TensorGroupTest, RanksThatShareTheDeviceAllGetTheSum) {
  for (const int ranks : {2, 3, 8}) {
    SCOPED_TRACE(ranks);
    for (const Element element : kElements) expect_sums_of_threads(element, AllReduce::kAuto, ranks, 5);
  }
}

// 1,030 rows of 512 bytes: above the bounds of one shot.
TEST_F(TensorGroupTest, RanksThatMeetInPeerMemoryAllGetTheSum) {
  for (const int ranks : {2, 3, 4, 8}) {
    for (const std::int64_t rows : {1, 5, 1030}) {
      SCOPED_TRACE(::testing::Message() << ranks << " ranks, " << rows << " rows");
      for (const Element element : kElements) expect_sums_of_threads(element, AllReduce::kPeer, ranks, rows);
    }
  }
}

// One rank: NCCL starts, meets and reduces; what several ranks need beyond that is a GPU each.
TEST_F(TensorGroupTest, NcclOfOneRankLeavesTheSumAsItIs) {
  if (!nccl_version()) GTEST_SKIP() << "no NCCL on this machine";
  const auto comm = make_single_communicator();
  for (const Element element : kElements) {
    const auto results = sums_of(*comm, element, AllReduce::kNccl, 3, 5);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(results[static_cast<std::size_t>(round)], expected(element, 1, round, 5));
  }
}

TEST_F(TensorGroupTest, AProcessAloneMeetsItselfInPeerMemory) {
  const auto comm = make_single_communicator();
  for (const Element element : kElements) {
    const auto results = sums_of(*comm, element, AllReduce::kAuto, 3, 5);
    for (int round = 0; round < 3; ++round) EXPECT_EQ(results[static_cast<std::size_t>(round)], expected(element, 1, round, 5));
  }
}

TEST_F(TensorGroupTest, MoreRanksThanADeviceServesAreRefused) {
  auto comms = make_thread_communicators(9);
  for (const AllReduce choice : {AllReduce::kAuto, AllReduce::kPeer}) {
    try {
      (void)make_tensor_group(*comms.front(), Element::kBf16, 1, kWidth, choice);
      FAIL() << "nine ranks were taken";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find("at most 8"), std::string::npos) << e.what();
    }
  }
}

// The others leave their kernels when one has failed, whatever it was.
TEST_F(TensorGroupTest, AnAbortedGroupLeavesItsKernels) {
  auto comms = make_thread_communicators(2);
  std::string reason;
  std::thread waiting([&] {
    const Stream stream;
    const std::unique_ptr<TensorGroup> group = make_tensor_group(*comms[0], Element::kBf16, 1, kWidth, AllReduce::kPeer);
    group->meet();
    try {
      for (int sum = 0; sum < 2; ++sum) group->add(nullptr, {}, 1, {stream.get(), false});   // rank 1 never comes to the second
      comms[0]->barrier();
      group->wait(stream, "a sum");
    } catch (const Error& e) {
      reason = e.what();
    }
  });
  const Stream stream;
  const std::unique_ptr<TensorGroup> group = make_tensor_group(*comms[1], Element::kBf16, 1, kWidth, AllReduce::kPeer);
  group->meet();
  group->add(nullptr, {}, 1, {stream.get(), false});
  comms[1]->barrier();
  comms[1]->abort("rank 1 lost its device");
  waiting.join();
  EXPECT_NE(reason.find("rank 1 lost its device"), std::string::npos) << reason;
  stream.synchronise("a sum");
}

}  // namespace

}  // namespace lindos::exec::cuda::test
