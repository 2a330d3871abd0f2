// SPDX-License-Identifier: Apache-2.0
// Slurm by its own programs in PATH: sbatch, squeue, sacct, scancel.
//   const SlurmJob job = submit(folder / "h100.sbatch");
//   for (const SlurmJob& now : states_of({job.id})) …
// Throws Error{kEnvironment} where a program is missing or refuses, with its own words, Error{kCancelled} on Ctrl-C.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lindos::cli {

struct SlurmJob {
  std::string id;
  std::map<std::string, int> states;  // "RUNNING" → elements of the array; one where it is none; empty: nobody knows
  std::string reason;                 // why it waits, or how it ended: "Resources", "exit code 1"
  std::string nodes;                  // of the element that has run longest
  std::string elapsed;                // of the same, as Slurm writes it: "1-02:03:04"
  bool ended = false;                 // none of it waits or runs
};

// In the folder of the script, where it finds what it starts.
[[nodiscard]] SlurmJob submit(const std::filesystem::path& script);
// In the order of `ids`. Jobs that have left the queue are asked of sacct; where that is missing or does not know them
// they have ended and have no states.
[[nodiscard]] std::vector<SlurmJob> states_of(const std::vector<std::string>& ids);
void cancel_jobs(const std::vector<std::string>& ids);

}  // namespace lindos::cli
