// SPDX-License-Identifier: Apache-2.0
#include "exec/comm/communicator.h"

#include <cstdlib>
#include <thread>

#include <gtest/gtest.h>

#include "conformance.h"
#include "exec/comm/launch.h"

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

class MpiProcesses : public ::testing::TestWithParam<int> {};

// The ranks run the same checks in processes of their own (mpi_ranks.cpp).
TEST_P(MpiProcesses, Conform) {
  std::string command;
  for (const std::string& word : mpirun_command(GetParam())) command += word + ' ';
  command += LINDOS_MPI_RANKS;
  EXPECT_EQ(std::system((command + " 1>&2").c_str()), 0) << command;
}

INSTANTIATE_TEST_SUITE_P(Ranks, MpiProcesses, ::testing::Values(1, 2, 3, 5));

TEST(Launch, RecognisesAnMpiChild) {
  const char* const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
  for (const char* name : names) ::unsetenv(name);
  EXPECT_FALSE(launched_by_mpi());
  for (const char* name : names) {
    ::setenv(name, "1", 1);
    EXPECT_FALSE(launched_by_mpi()) << name;
    ::setenv(name, "2", 1);
    EXPECT_TRUE(launched_by_mpi()) << name;
    ::unsetenv(name);
  }
}

}  // namespace
}  // namespace lindos::exec
