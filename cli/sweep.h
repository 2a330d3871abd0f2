// SPDX-License-Identifier: Apache-2.0
// lindos plan --what-if: the same question for changed scenarios, each in a child process of its own. A point's answer
// is a file named by what was asked, written whole or not at all: a sweep that was killed goes on where it stood, and
// several machines may work on one folder. Points are dealt out by index over the tasks of a Slurm array or the ranks of
// an MPI run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/progress.h"
#include "scenarios/scenario.h"
#include "scenarios/what_if.h"

namespace lindos::cli {

struct SweepQuestion {
  std::vector<std::vector<Setting>> axes;  // one per --what-if: its values
  std::vector<std::uint64_t> seeds;        // one more axis
  std::vector<std::string> arguments;      // of lindos plan, but for scenario, seed and output
  std::filesystem::path folder;            // of the answers
  int processes = 0;                       // at once; 0: one per core
};

struct SweepPoint {
  std::vector<Setting> settings;
  std::uint64_t seed = 1;
  std::string file;                        // of its answer, in the folder
};

// Cartesian product, the last axis fastest.
[[nodiscard]] std::vector<SweepPoint> points_of(const SweepQuestion& question);

// Runs what is this process's part and not there yet. Returns how many of all points are answered then. Throws
// Error{kUsage} for a key that the scenario lacks, Error{kEnvironment}, Error{kCancelled}.
std::size_t run_sweep(const SweepQuestion& question, const Scenario& scenario, std::vector<SweepPoint>& points,
                      Progress& progress);

[[nodiscard]] std::string render_sweep(const SweepQuestion& question, const std::vector<SweepPoint>& points);
// [{"settings": {KEY: VALUE}, "seed", "answer": what lindos plan --format json printed, or null, "refused": why not, or
// null}].
[[nodiscard]] std::string sweep_json(const SweepQuestion& question, const std::vector<SweepPoint>& points);

}  // namespace lindos::cli
