// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/process_usage.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace lindos::exec {

namespace {

// proc(5), /proc/PID/stat: the second field is the program's name in parentheses and may hold anything, so that the
// others are counted from the last ")".
struct Stat {
  std::string program;
  int parent = 0;
  double ticks = 0.0;
  double pages = 0.0;
};

std::optional<Stat> stat_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string text;
  if (!std::getline(in, text)) return std::nullopt;
  const std::size_t open = text.find('(');
  const std::size_t close = text.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close < open) return std::nullopt;
  Stat stat;
  stat.program = text.substr(open + 1, close - open - 1);
  std::istringstream fields(text.substr(close + 1));
  std::string field;
  double user = 0.0;
  double system = 0.0;
  // state is field 3.
  for (int number = 3; number <= 24; ++number) {
    if (!(fields >> field)) return std::nullopt;
    double* into = number == 14 ? &user : number == 15 ? &system : number == 24 ? &stat.pages : nullptr;
    if (number == 4) std::from_chars(field.data(), field.data() + field.size(), stat.parent);
    if (into == nullptr) continue;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), *into);
    if (error != std::errc{}) return std::nullopt;
  }
  stat.ticks = user + system;
  return stat;
}

}  // namespace

std::vector<int> processes_of_run(bool mpi, const std::filesystem::path& root, int self) {
  if (self == 0) self = static_cast<int>(::getpid());
  const auto own = stat_of(root / std::to_string(self) / "stat");
  std::vector<int> processes{self};
  if (!mpi || !own) return processes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root, error)) {
    const std::string name = entry.path().filename().string();
    int process = 0;
    const auto [end, bad] = std::from_chars(name.data(), name.data() + name.size(), process);
    if (bad != std::errc{} || end != name.data() + name.size() || process == self) continue;
    const auto other = stat_of(entry.path() / "stat");
    if (other && other->parent == own->parent && other->program == own->program) processes.push_back(process);
  }
  std::sort(processes.begin(), processes.end());
  return processes;
}

std::optional<ProcessUsage> read_processes(const std::vector<int>& processes, const std::filesystem::path& root) {
  static const auto kTick = static_cast<double>(::sysconf(_SC_CLK_TCK));
  static const auto kPage = static_cast<double>(::sysconf(_SC_PAGESIZE));
  ProcessUsage usage;
  for (const int process : processes) {
    const auto stat = stat_of(root / std::to_string(process) / "stat");
    if (!stat) return std::nullopt;
    usage.cpu += Seconds{stat->ticks / kTick};
    usage.resident += Bytes{stat->pages * kPage};
  }
  return usage;
}

}  // namespace lindos::exec
