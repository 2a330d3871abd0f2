// SPDX-License-Identifier: Apache-2.0
#include "kernels/stream_read.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <vector>

#include "kernels/cpu/table.h"

namespace lindos::kernels {
namespace {

constexpr std::int64_t kGranule = 64;              // floats per step of KernelTable::read_sum
constexpr std::int64_t kWindow = 4 * 1024 * 1024;  // floats: 16 MiB, below a millisecond on one core

struct Free {
  void operator()(float* p) const { std::free(p); }  // NOLINT(*-no-malloc): pairs with aligned_alloc
};

}  // namespace

struct ReadStream::State {
  std::unique_ptr<float[], Free> data;
  std::int64_t floats = 0;
  std::int64_t window = 0;  // floats
  std::int64_t next = 0;
  std::vector<float> sums;  // one per member, so that the reads have a result
};

ReadStream::ReadStream(CpuPool& pool, std::size_t bytes) : pool_(pool), state_(std::make_unique<State>()) {
  State& s = *state_;
  const auto wanted = static_cast<std::int64_t>(bytes / sizeof(float));
  s.window = std::min(kWindow, std::max<std::int64_t>(1, wanted / kGranule) * kGranule);
  s.floats = std::max<std::int64_t>(1, wanted / s.window) * s.window;
  s.data.reset(static_cast<float*>(
      std::aligned_alloc(kGranule * sizeof(float), static_cast<std::size_t>(s.floats) * sizeof(float))));
  if (!s.data) throw std::bad_alloc();
  s.sums.resize(static_cast<std::size_t>(pool.threads()));
  // Written by the member that will read it (first touch places the pages), with data that differs.
  pool.run([&s](int member, int threads) {
    std::uint32_t bits = 0x9E3779B9U + static_cast<std::uint32_t>(member);
    for (std::int64_t window = 0; window < s.floats; window += s.window) {
      const Part part = part_of(s.window, kGranule, member, threads);
      for (std::int64_t i = part.begin; i < part.end; ++i) {
        bits = bits * 1664525U + 1013904223U;
        s.data[static_cast<std::size_t>(window + i)] = static_cast<float>(bits >> 8U) * 0x1p-24F;
      }
    }
  });
}

ReadStream::~ReadStream() = default;

std::size_t ReadStream::windows() const { return static_cast<std::size_t>(state_->floats / state_->window); }

double ReadStream::read_window() {
  using Clock = std::chrono::steady_clock;
  State& s = *state_;
  const KernelTable& table = kernel_table();
  const Clock::time_point start = Clock::now();
  pool_.run([&](int member, int threads) {
    const Part part = part_of(s.window, kGranule, member, threads);
    s.sums[static_cast<std::size_t>(member)] =
        table.read_sum(s.data.get() + s.next + part.begin, part.end - part.begin);
  });
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  s.next = (s.next + s.window) % s.floats;
  return static_cast<double>(s.window) * sizeof(float) / seconds;
}

double measure_read_bandwidth(CpuPool& pool, std::size_t bytes, int passes) {
  ReadStream stream(pool, bytes);
  double best = 0.0;
  for (int pass = -1; pass < passes; ++pass) {
    for (std::size_t w = 0; w < stream.windows(); ++w) {
      const double rate = stream.read_window();
      if (pass >= 0) best = std::max(best, rate);
    }
  }
  return best;
}

}  // namespace lindos::kernels
