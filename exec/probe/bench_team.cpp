// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/bench_team.h"

#include <barrier>
#include <chrono>
#include <thread>

namespace lindos::exec {

namespace {

using Clock = std::chrono::steady_clock;

}  // namespace

struct BenchTeam::State {
  explicit State(const std::vector<int>& threads_by_rank)
      : seconds(threads_by_rank.size()), gate(static_cast<std::ptrdiff_t>(threads_by_rank.size())) {
    for (const int threads_of_rank : threads_by_rank) {
      pools.push_back(std::make_unique<kernels::CpuPool>(threads_of_rank));
    }
  }
  std::vector<std::unique_ptr<kernels::CpuPool>> pools;   // one per rank
  std::vector<double> seconds;
  std::barrier<> gate;
  std::vector<std::thread> threads;                       // ranks 1 …
  const Call* call = nullptr;
  std::int64_t iterations = 0;
  std::int64_t first_iteration = 0;
  bool stop = false;

  void run_rank(int rank) {
    gate.arrive_and_wait();
    const Clock::time_point t0 = Clock::now();
    for (std::int64_t i = 0; i < iterations; ++i) {
      (*call)(rank, *pools[static_cast<std::size_t>(rank)], first_iteration + i);
    }
    seconds[static_cast<std::size_t>(rank)] = std::chrono::duration<double>(Clock::now() - t0).count();
    gate.arrive_and_wait();
  }
};

BenchTeam::BenchTeam(const std::vector<int>& threads_by_rank)
    : ranks_(static_cast<int>(threads_by_rank.size())), state_(std::make_unique<State>(threads_by_rank)) {
  for (int r = 1; r < ranks_; ++r) {
    state_->threads.emplace_back([state = state_.get(), r] {
      for (;;) {
        state->gate.arrive_and_wait();   // a batch of iterations is ready, or stop
        if (state->stop) return;
        state->run_rank(r);
      }
    });
  }
}

BenchTeam::~BenchTeam() {
  state_->stop = true;
  if (ranks_ > 1) state_->gate.arrive_and_wait();
  for (std::thread& t : state_->threads) t.join();
}

kernels::CpuPool& BenchTeam::pool(int rank) { return *state_->pools[static_cast<std::size_t>(rank)]; }

Seconds BenchTeam::batch(const Call& call, std::int64_t first_iteration, std::int64_t iterations) {
  State& s = *state_;
  s.call = &call;
  s.iterations = iterations;
  s.first_iteration = first_iteration;
  if (ranks_ > 1) s.gate.arrive_and_wait();
  s.run_rank(0);
  double sum = 0.0;
  for (double t : s.seconds) sum += t;
  return Seconds{sum / static_cast<double>(ranks_) / static_cast<double>(iterations)};
}

}  // namespace lindos::exec
