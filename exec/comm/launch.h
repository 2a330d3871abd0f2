// SPDX-License-Identifier: Apache-2.0
// How `lindos` starts itself as several processes on this machine.
//
//   auto command = mpirun_command(3);  command.push_back("/path/to/lindos");  …  then
//   int status = run_to_end(command, cancelled);
#pragma once

#include <cstddef>
#include <functional>
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

// Runs a launch to its end and returns its exit status. The launcher is kept out of the terminal's reach (a process
// group of its own, no standard input), so that a Ctrl-C comes to it once and from here: when `cancelled` says so it
// is asked to end, which ends its ranks; so does the death of this process. Call from the main thread.
// Throws Error{kEnvironment} when the command cannot be started or dies of a signal, Error{kCancelled} when cancelled.
[[nodiscard]] int run_to_end(const std::vector<std::string>& command, const std::function<bool()>& cancelled);

}  // namespace lindos::exec
