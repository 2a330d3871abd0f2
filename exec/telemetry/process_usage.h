// SPDX-License-Identifier: Apache-2.0
// CPU time and resident memory of the processes of a run, from /proc.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "scenarios/units.h"

namespace lindos::exec {

struct ProcessUsage {
  Seconds cpu{0};     // of all threads, since the processes began
  Bytes resident{0};  // pages that processes share count for each
};

// This process; of a run over MPI also the other ranks on this machine: same parent, same program. `root` stands for
// /proc in tests, `self` for this process there.
[[nodiscard]] std::vector<int> processes_of_run(bool mpi, const std::filesystem::path& root = "/proc", int self = 0);
// The sum over the processes; nothing when one of them cannot be read.
[[nodiscard]] std::optional<ProcessUsage> read_processes(const std::vector<int>& processes,
                                                         const std::filesystem::path& root = "/proc");

}  // namespace lindos::exec
