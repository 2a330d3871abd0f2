// SPDX-License-Identifier: Apache-2.0
// Progress of a long verb on stderr: a bar with an estimate on a terminal, JSON lines for programs, a line per
// phase otherwise. Warnings beside it. Never writes to stdout. What a program alone wants to know (samples of a run, the
// prediction within a twin) is said as JSON lines only: docs/formats.md, "Progress lines". Any thread may call.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "cli/options.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"

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
  // What a run says of itself as it runs.
  void sample(const RunSample& sample);
  // A record that the verb has before its end.
  void partial(const RunRecord& record);

 private:
  void clear_bar();
  ProgressStyle style_;
  std::string verb_;
  std::mutex mutex_;
  std::map<std::string, std::map<std::string, std::string>> said_absent_;  // by subject
  std::string phase_;
  std::chrono::steady_clock::time_point phase_start_;
  std::chrono::steady_clock::time_point last_drawn_{};
  bool bar_drawn_ = false;
};

}  // namespace lindos::cli
