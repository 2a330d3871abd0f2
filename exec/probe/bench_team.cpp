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
  explicit State(const RankLayout& layout)
      : seconds(static_cast<std::size_t>(layout.active_ranks)), gate(layout.active_ranks) {
    for (int r = 0; r < layout.active_ranks; ++r) {
      pools.push_back(std::make_unique<kernels::CpuPool>(layout.threads));
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

BenchTeam::BenchTeam(RankLayout layout) : layout_(layout), state_(std::make_unique<State>(layout)) {
  for (int r = 1; r < layout.active_ranks; ++r) {
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
  if (layout_.active_ranks > 1) state_->gate.arrive_and_wait();
  for (std::thread& t : state_->threads) t.join();
}

Seconds BenchTeam::batch(const Call& call, std::int64_t first_iteration, std::int64_t iterations) {
  State& s = *state_;
  s.call = &call;
  s.iterations = iterations;
  s.first_iteration = first_iteration;
  if (layout_.active_ranks > 1) s.gate.arrive_and_wait();
  s.run_rank(0);
  double sum = 0.0;
  for (double t : s.seconds) sum += t;
  return Seconds{sum / static_cast<double>(layout_.active_ranks) / static_cast<double>(iterations)};
}

}  // namespace lindos::exec
