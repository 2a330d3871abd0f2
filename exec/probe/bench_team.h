// SPDX-License-Identifier: Apache-2.0
// Times one kernel on `ranks` rank threads at once, each with an own pool: what a kernel costs while the other
// ranks of the replica compete for the same memory. Adaptive iterations, several repeats, median and spread.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "kernels/cpu_pool.h"
#include "scenarios/units.h"

namespace lindos::exec {

// Threads per rank and ranks that compute at the same time.
struct RankLayout {
  int threads = 1;
  int active_ranks = 1;
  auto operator<=>(const RankLayout&) const = default;
};

struct Timing {
  Seconds time{0};       // of one call, median over the repeats of the mean over the ranks
  double spread = 0.0;   // standard deviation of log(time) between repeats
};

class BenchTeam {
 public:
  explicit BenchTeam(RankLayout layout);
  ~BenchTeam();
  BenchTeam(const BenchTeam&) = delete;
  BenchTeam& operator=(const BenchTeam&) = delete;
  [[nodiscard]] const RankLayout& layout() const { return layout_; }

  // `call(rank, pool, iteration)` runs the kernel once; iterations count up so that it can rotate buffers.
  // `budget` is the time of all repeats together.
  using Call = std::function<void(int rank, kernels::CpuPool& pool, std::int64_t iteration)>;
  [[nodiscard]] Timing time(const Call& call, Seconds budget = Seconds{0.02}, int repeats = 5);

 private:
  struct State;
  RankLayout layout_;
  std::unique_ptr<State> state_;
};

}  // namespace lindos::exec
