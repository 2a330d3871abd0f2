// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "exec/comm/communicator.h"
#include "exec/comm/launch.h"

namespace lindos::exec {
namespace {

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
