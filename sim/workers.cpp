// SPDX-License-Identifier: Apache-2.0
#include "sim/workers.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <vector>

namespace lindos::sim {

namespace {

// Each worker's caches take tens of megabytes.
constexpr std::size_t kMostWorkers = 8;

}  // namespace

std::size_t workers_for(std::size_t count) {
  return std::min({std::max<std::size_t>(1, count), kMostWorkers, std::size_t{std::max(1U, std::thread::hardware_concurrency())}});
}

void run_workers(std::size_t workers, std::size_t count, const std::function<void(std::size_t, std::size_t)>& work,
                 const std::function<void(double)>& done) {
  std::vector<std::exception_ptr> failures(count);
  std::atomic<std::size_t> next{0};
  const auto run = [&](std::size_t worker) {
    for (std::size_t i = next++; i < count; i = next++) {
      try {
        work(worker, i);
      } catch (...) {
        failures[i] = std::current_exception();
        next = count;
      }
      if (worker == 0 && done) done(static_cast<double>(i + 1) / static_cast<double>(count));
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t w = 1; w < workers; ++w) threads.emplace_back([&run, w] { run(w); });
    run(0);
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace lindos::sim
