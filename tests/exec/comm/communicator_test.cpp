// SPDX-License-Identifier: Apache-2.0
#include "exec/comm/communicator.h"

#include <thread>

#include <gtest/gtest.h>

#include "conformance.h"

namespace lindos::exec {
namespace {

TEST(SingleCommunicator, Conforms) {
  const auto comm = make_single_communicator();
  EXPECT_STREQ(comm->backend(), "single");
  conformance::run_all(*comm);
}

class ThreadCommunicators : public ::testing::TestWithParam<int> {};

TEST_P(ThreadCommunicators, Conform) {
  const auto group = make_thread_communicators(GetParam());
  std::vector<std::thread> threads;
  for (const auto& comm : group) {
    threads.emplace_back([&comm] { conformance::run_all(*comm); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_STREQ(group.front()->backend(), "thread");
  EXPECT_EQ(group.back()->rank(), GetParam() - 1);
}

INSTANTIATE_TEST_SUITE_P(Ranks, ThreadCommunicators, ::testing::Values(2, 3, 5, 8));

// One rank only has nobody to send to, but a mailbox of its own; its collectives must still be
// right.
TEST(ThreadCommunicator, SumsWithOneRank) {
  const auto group = make_thread_communicators(1);
  conformance::all_reduce_sums_in_rank_order(*group.front());
  conformance::all_gather_takes_uneven_and_zero_counts(*group.front());
  conformance::broadcast_reaches_all_from_each_root(*group.front());
  conformance::abort_releases_waiting_ranks(*group.front());
}

// A rank that aborts between two collectives, while others are anywhere in the first or the second:
// nobody hangs, nobody touches memory that is gone (address and thread sanitizer).
TEST(ThreadCommunicator, AbortsAtAnyMoment) {
  for (int round = 0; round < 200; ++round) {
    const auto group = make_thread_communicators(3);
    std::vector<std::thread> threads;
    for (const auto& comm : group) {
      threads.emplace_back([&comm, round] {
        try {
          for (int call = 0; call < 1000; ++call) {
            if (comm->rank() == 2 && call == round % 7) comm->abort("stop");
            std::vector<float> data(3000, 1.0f);
            comm->all_reduce_sum(data);
            ASSERT_EQ(data.back(), 3.0f);
          }
          ADD_FAILURE() << "not aborted";
        } catch (const std::exception& error) {
          EXPECT_STREQ(error.what(), "communicator: stop");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

}  // namespace
}  // namespace lindos::exec
