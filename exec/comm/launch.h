// SPDX-License-Identifier: Apache-2.0
// How `lindos` starts itself as several processes on this machine.
//
//   auto command = mpirun_command(3);  command.push_back("/path/to/lindos");  …  then exec it
#pragma once

#include <string>
#include <vector>

namespace lindos::exec {

// The words of an Open MPI launch of `ranks` processes on this host, without the program. All
// settings are arguments, so they reach our own children only. REQUIRES: ranks >= 1.
[[nodiscard]] std::vector<std::string> mpirun_command(int ranks);

}  // namespace lindos::exec
