// SPDX-License-Identifier: Apache-2.0
// Runs one kernel on several rank threads at once, each with an own pool: what a kernel costs while the other
// ranks of the replica compete for the same memory.
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

class BenchTeam {
 public:
  explicit BenchTeam(RankLayout layout) : BenchTeam(std::vector<int>(static_cast<std::size_t>(layout.active_ranks), layout.threads)) {}
  // One rank per entry, with so many threads.
  explicit BenchTeam(const std::vector<int>& threads_by_rank);
  ~BenchTeam();
  BenchTeam(const BenchTeam&) = delete;
  BenchTeam& operator=(const BenchTeam&) = delete;
  [[nodiscard]] kernels::CpuPool& pool(int rank);

  // `call(rank, pool, iteration)` runs the kernel once; iterations count up so that it can rotate buffers.
  using Call = std::function<void(int rank, kernels::CpuPool& pool, std::int64_t iteration)>;
  // Time of one call: mean over `iterations` calls and over the ranks.
  [[nodiscard]] Seconds batch(const Call& call, std::int64_t first_iteration, std::int64_t iterations);

 private:
  struct State;
  int ranks_;
  std::unique_ptr<State> state_;
};

}  // namespace lindos::exec
