// SPDX-License-Identifier: Apache-2.0
#include "exec/comm/launch.h"

#include <cstdlib>

#include <unistd.h>

#include "exec/comm/communicator.h"
#include "scenarios/error.h"

namespace lindos::exec {

std::vector<std::string> mpirun_command(int ranks) {
  LINDOS_ASSERT(ranks >= 1, "a launch has at least one rank");
  std::vector<std::string> command = {"mpirun", "-np", std::to_string(ranks)};
  // Containers run as root; mpirun refuses that unless told.
  if (::geteuid() == 0) command.emplace_back("--allow-run-as-root");
  // More ranks than cores is a legitimate plan here: wait politely, and let the kernel place the
  // ranks.
  command.insert(command.end(), {"--oversubscribe", "--bind-to", "none"});
  command.insert(command.end(), {"--mca", "mpi_yield_when_idle", "1"});
  // Containers forbid reading another process' memory, and each refusal prints a warning. Nothing
  // is lost: through shared memory the messages of this project were as fast or faster.
  command.insert(command.end(), {"--mca", "btl_vader_single_copy_mechanism", "none"});
  // See kMpiPieceBytes. The default segment of 4 MiB holds too few pieces of that size.
  constexpr std::size_t kHeaderBytes = 256;
  constexpr std::size_t kSegmentBytes = std::size_t{16} << 20;
  command.insert(command.end(),
                 {"--mca", "btl_vader_eager_limit", std::to_string(kMpiPieceBytes + kHeaderBytes)});
  command.insert(command.end(), {"--mca", "btl_vader_segment_size", std::to_string(kSegmentBytes)});
  // One host: no ssh needed, and none asked for.
  command.insert(command.end(), {"--mca", "plm", "isolated"});
  return command;
}

bool launched_by_mpi() {
  // Open MPI, MPICH and its relatives, and a Slurm step. (SLURM_NTASKS would not do: it is also set
  // in the batch script around the step, which is one process.)
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && std::atoi(value) > 1) return true;
  }
  return false;
}

}  // namespace lindos::exec
