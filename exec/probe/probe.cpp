// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/probe.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <fstream>

#include "exec/probe/probe_parts.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/error.h"

namespace lindos::exec {

std::size_t cold_bytes() {
  const long l3 = ::sysconf(_SC_LEVEL3_CACHE_SIZE);
  constexpr std::size_t kFloor = std::size_t{64} << 20;
  return std::max(kFloor, 2 * static_cast<std::size_t>(std::max(0L, l3)));
}

kernels::WeightType weight_type(Dtype dtype) {
  return dtype == Dtype::kF32 ? kernels::WeightType::kF32 : kernels::WeightType::kBf16;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

Bytes machine_memory() {
  return Bytes{static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGE_SIZE))};
}

std::string cpu_label(const std::string& proc_root) {
  std::ifstream in(proc_root + "/cpuinfo");
  std::string name = "unknown CPU";
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("model name", 0) == 0) {
      const auto colon = line.find(':');
      if (colon != std::string::npos && colon + 2 <= line.size()) name = line.substr(colon + 2);
      break;
    }
  }
  return name;
}

std::set<RankLayout> ProbeSession::layouts_of(const GroupPlan& group) const {
  std::set<RankLayout> layouts;
  const int stages = static_cast<int>(group.stages.size());
  for (int s = 0; s < stages; ++s) {
    const int ranks = static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
    for (int r = 0; r < ranks; ++r) {
      const int threads = threads_of(group, {s, r}, request_->cores);
      for (int busy = 1; busy <= stages; ++busy) layouts.insert({threads, ranks * busy});
    }
  }
  return layouts;
}

BenchTeam& ProbeSession::team(RankLayout layout) {
  auto& slot = teams_[layout];
  if (!slot) slot = std::make_unique<BenchTeam>(layout);
  return *slot;
}

void ProbeSession::report(const std::string& what, double fraction) const {
  if (request_->cancelled && request_->cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
  if (request_->progress) request_->progress(what, fraction);
}

Profile probe(const ProbeRequest& request) {
  if (request.progress) request.progress("ceilings", 0.0);
  Profile profile = probe_ceilings(request.cores);
  ProbeSession session(request, profile);
  session.gemm();
  session.attention();
  session.stream();
  session.collectives();
  session.step_overhead();
  if (request.progress) request.progress("done", 1.0);
  return profile;
}

}  // namespace lindos::exec
