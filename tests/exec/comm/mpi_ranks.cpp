// SPDX-License-Identifier: Apache-2.0
// One rank of the mpi backend's tests; communicator_test starts it through mpirun_command.
#include <cstdlib>

#include <gtest/gtest.h>

#include "conformance.h"
#include "exec/comm/communicator.h"

namespace lindos::exec {
namespace {

int g_world_rank = 0;
int g_world_size = 1;

TEST(MpiCommunicator, SplitsTheWorld) {
  EXPECT_EQ(launched_by_mpi(), g_world_size > 1);
  const auto pairs = make_mpi_communicator(g_world_rank / 2, g_world_rank);
  EXPECT_EQ(pairs->rank(), g_world_rank % 2);
  conformance::all_reduce_sums_in_rank_order(*pairs);
  const auto backwards = make_mpi_communicator(0, -g_world_rank);
  EXPECT_EQ(backwards->rank(), g_world_size - 1 - g_world_rank);
}

TEST(MpiCommunicator, Conforms) {
  const auto comm = make_mpi_communicator(0, g_world_rank);
  EXPECT_STREQ(comm->backend(), "mpi");
  EXPECT_EQ(comm->size(), g_world_size);
  if (comm->size() > 1) {
    conformance::run_all(*comm);
  } else {
    conformance::all_reduce_sums_in_rank_order(*comm);
    conformance::all_gather_takes_uneven_and_zero_counts(*comm);
    conformance::broadcast_reaches_all_from_each_root(*comm);
    conformance::abort_releases_waiting_ranks(*comm);
  }
}

}  // namespace
}  // namespace lindos::exec

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  const lindos::exec::MpiSession session(&argc, &argv);
  lindos::exec::g_world_rank = session.rank();
  lindos::exec::g_world_size = session.size();
  return RUN_ALL_TESTS();
}
