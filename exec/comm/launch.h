// SPDX-License-Identifier: Apache-2.0
// How `lindos` starts itself as several processes on this machine.
//
//   auto command = mpirun_command(3);  command.push_back("/path/to/lindos");  …  then exec it
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace lindos::exec {

// The mpi backend cuts messages into pieces of this size, and the launch lets MPI take over such a piece at
// once ("eager"). Above MPI's own limit of 4 KiB a message moves only while its sender is inside MPI: a stage
// that hands on and goes back to work would keep the next one waiting for a whole step (measured with two
// ranks, 72 KiB, 5 ms of work: 4.0 ms late; with these settings 7 us).
inline constexpr std::size_t kMpiPieceBytes = std::size_t{256} << 10;

// The words of an Open MPI launch of `ranks` processes on this host, without the program. All
// settings are arguments, so they reach our own children only. REQUIRES: ranks >= 1.
[[nodiscard]] std::vector<std::string> mpirun_command(int ranks);

}  // namespace lindos::exec
