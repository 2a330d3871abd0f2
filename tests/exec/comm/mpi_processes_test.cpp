// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/comm/communicator.h"
#include "exec/comm/launch.h"
#include "scenarios/error.h"

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

TEST(Launch, EndsAsTheCommandDoes) {
  const auto never = [] { return false; };
  EXPECT_EQ(run_to_end({"true"}, never), 0);
  EXPECT_EQ(run_to_end({"sh", "-c", "exit 3"}, never), 3);
  const auto kind_of = [](const std::vector<std::string>& command, bool cancelled) {
    try {
      static_cast<void>(run_to_end(command, [&] { return cancelled; }));
    } catch (const Error& e) {
      return e.kind();
    }
    return ErrorKind::kUsage;
  };
  EXPECT_EQ(kind_of({"no-such-launcher"}, false), ErrorKind::kEnvironment);
  EXPECT_EQ(kind_of({"sh", "-c", "kill -KILL $$"}, false), ErrorKind::kEnvironment);
  EXPECT_EQ(kind_of({"sleep", "600"}, true), ErrorKind::kCancelled);
  EXPECT_EQ(kind_of({"sh", "-c", "trap 'exit 1' TERM; while :; do sleep 0.01; done"}, true), ErrorKind::kCancelled);
}

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
