// SPDX-License-Identifier: Apache-2.0
// Progress of a long verb on stderr: a bar with an estimate on a terminal, JSON lines for programs, a line per
// phase otherwise. Warnings beside it. Never writes to stdout.
#pragma once

#include <chrono>
#include <string>

#include "cli/options.h"

namespace lindos::cli {

class Progress {
 public:
  Progress(ProgressStyle style, std::string verb);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  // `fraction` in [0, 1] of the current phase.
  void update(const std::string& phase, double fraction);
  // Ends the current phase with a line that stays.
  void finish_phase(const std::string& summary);
  // What makes the result doubtful; no style silences it.
  void warn(const std::string& text);

 private:
  void clear_bar();
  ProgressStyle style_;
  std::string verb_;
  std::string phase_;
  std::chrono::steady_clock::time_point phase_start_;
  std::chrono::steady_clock::time_point last_drawn_{};
  bool bar_drawn_ = false;
};

}  // namespace lindos::cli
