// SPDX-License-Identifier: Apache-2.0
#include "kernels/stream_read.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <vector>

#include "kernels/cpu/table.h"

namespace lindos::kernels {
namespace {

constexpr std::int64_t kGranule = 64;  // floats per step of read_sum

struct Free {
  void operator()(float* p) const { std::free(p); }  // NOLINT(*-no-malloc): pairs with aligned_alloc
};

}  // namespace

double measure_read_bandwidth(CpuPool& pool, std::size_t bytes, int passes) {
  using Clock = std::chrono::steady_clock;
  const auto granule_bytes = static_cast<std::size_t>(kGranule) * sizeof(float);
  const std::size_t size = std::max<std::size_t>(1, bytes / granule_bytes) * granule_bytes;
  const std::unique_ptr<float[], Free> data(static_cast<float*>(std::aligned_alloc(granule_bytes, size)));
  if (!data) throw std::bad_alloc();
  const auto floats = static_cast<std::int64_t>(size / sizeof(float));
  const KernelTable& table = kernel_table();
  std::vector<float> sums(static_cast<std::size_t>(pool.threads()));
  // Written by the member that will read it (first touch places the pages), with data that differs.
  pool.run([&](int member, int threads) {
    const Part part = part_of(floats, kGranule, member, threads);
    std::uint32_t bits = 0x9E3779B9U + static_cast<std::uint32_t>(member);
    for (std::int64_t i = part.begin; i < part.end; ++i) {
      bits = bits * 1664525U + 1013904223U;
      data[static_cast<std::size_t>(i)] = static_cast<float>(bits >> 8U) * 0x1p-24F;
    }
  });
  double best = 0.0;
  for (int pass = -1; pass < passes; ++pass) {
    const Clock::time_point start = Clock::now();
    pool.run([&](int member, int threads) {
      const Part part = part_of(floats, kGranule, member, threads);
      sums[static_cast<std::size_t>(member)] = table.read_sum(data.get() + part.begin, part.end - part.begin);
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (pass >= 0) best = std::max(best, static_cast<double>(size) / seconds);
  }
  // Keeps the reads: the compiler must assume that the sums are looked at.
  asm volatile("" : : "r"(sums.data()) : "memory");
  return best;
}

}  // namespace lindos::kernels
