// SPDX-License-Identifier: Apache-2.0
// Micro-benchmark of the CPU kernels: each op against the read bandwidth and the OpenBLAS SGEMM rate measured
// in turns with it. Best of repeated passes, since other processes can only slow a pass down.
// Usage: kernels_bench [--threads N] [--seconds S per case] [--only SUBSTRING]
#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/sample.h"
#include "kernels/stream_read.h"

extern "C" void openblas_set_num_threads(int threads);

namespace {

using namespace lindos::kernels;  // NOLINT(google-build-using-namespace): a program, not a header
using Clock = std::chrono::steady_clock;

struct Options {
  int threads = 1;
  double seconds = 0.3;
  std::string only;
};

std::vector<float> random_floats(std::size_t n) {
  std::vector<float> v(n);
  std::uint32_t bits = 12345;
  for (float& x : v) {
    bits = bits * 1664525U + 1013904223U;
    x = static_cast<float>(bits >> 8U) * 0x1p-23F - 1.0F;
  }
  return v;
}

std::string name_of(WeightType type) { return type == WeightType::kF32 ? "f32" : type == WeightType::kBf16 ? "bf16" : "f16"; }

class Bench {
 public:
  explicit Bench(const Options& options) : options_(options), pool_(options.threads), stream_(pool_, 256U << 20U) {
    openblas_set_num_threads(options.threads);
    std::printf("isa %s, %d thread(s)\n%-34s %10s %8s %18s %9s %18s\n", gemm_isa(), options.threads, "case", "time",
                "GB/s", "of read GB/s", "GFLOP/s", "of BLAS");
  }

  void gemm_case(WeightType type, std::int64_t m, std::int64_t n, std::int64_t k) {
    const std::string name = "gemm " + name_of(type) + " m=" +
                             std::to_string(m) + " n=" + std::to_string(n) + " k=" + std::to_string(k);
    if (skipped(name)) return;
    // As many copies as go beyond the caches, used in turn: a model never meets its weights in the cache.
    const std::size_t bytes = packed_bytes(type, n, k);
    const bool resident = m >= 64;
    const std::size_t copies = resident ? 1 : 1 + (256U << 20U) / bytes;
    const auto w = random_floats(static_cast<std::size_t>(n * k));
    std::vector<void*> packed(copies);
    for (void*& p : packed) {
      p = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
      pack_weights(type, n, k, 0, n, w.data(), p);
    }
    const auto x = random_floats(static_cast<std::size_t>(m * k));
    std::vector<float> y(static_cast<std::size_t>(m * n));
    std::size_t turn = 0;
    const auto blas = [&] {
      cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<blasint>(m), static_cast<blasint>(n),
                  static_cast<blasint>(k), 1.0F, x.data(), static_cast<blasint>(k), w.data(),
                  static_cast<blasint>(k), 0.0F, y.data(), static_cast<blasint>(n));
    };
    measure(name, static_cast<double>(bytes), 2.0 * static_cast<double>(m * n * k),
            [&] { gemm(pool_, {packed[turn++ % copies], type, n, k}, x.data(), k, m, y.data(), n, false); },
            resident ? std::function<void()>(blas) : nullptr);
    for (void* p : packed) std::free(p);
  }

  // `batch` sequences of `context` positions, `tokens` new ones each.
  void attention_case(WeightType type, std::int64_t batch, std::int64_t context, std::int64_t tokens) {
    const std::string name = "attention " + name_of(type) + " b=" +
                             std::to_string(batch) + " ctx=" + std::to_string(context) + " q=" + std::to_string(tokens);
    if (skipped(name)) return;
    constexpr std::int64_t kHeads = 9, kKvHeads = 3, kDim = 64;  // SmolLM2-135M
    const std::int64_t pages = (context + tokens + kPageTokens - 1) / kPageTokens;
    const std::size_t elements = static_cast<std::size_t>(batch * pages * kKvHeads * kDim * kPageTokens);
    std::vector<float> k(elements), v(elements);
    KvView kv{k.data(), v.data(), type, kKvHeads, kDim};
    std::vector<std::vector<std::int32_t>> blocks(static_cast<std::size_t>(batch));
    std::vector<AttentionSlice> all, fresh;
    for (std::int64_t b = 0; b < batch; ++b) {
      auto& list = blocks[static_cast<std::size_t>(b)];
      for (std::int64_t p = 0; p < pages; ++p) list.push_back(static_cast<std::int32_t>(p * batch + b));
      all.push_back({0, context + tokens, 0, list.data()});
      fresh.push_back({context, tokens, b * tokens, list.data()});
    }
    const auto kv_rows = random_floats(static_cast<std::size_t>((context + tokens) * kKvHeads * kDim));
    kv_write(pool_, kv, all.data(), batch, kv_rows.data(), kKvHeads * kDim, kv_rows.data(), kKvHeads * kDim);
    const auto q = random_floats(static_cast<std::size_t>(batch * tokens * kHeads * kDim));
    std::vector<float> out(q.size());
    const AttentionShape shape{kHeads, kHeads / kKvHeads, 0, 0.125, 0};
    const double keys = static_cast<double>(batch * tokens) *
                        (static_cast<double>(context) + (static_cast<double>(tokens) + 1.0) / 2.0);
    const double element = type == WeightType::kF32 ? 4.0 : 2.0;
    measure(name, 2.0 * element * static_cast<double>(batch * (context + tokens) * kKvHeads * kDim),
            4.0 * keys * static_cast<double>(kHeads * kDim), [&] {
              attention(pool_, kv, shape, fresh.data(), batch, q.data(), kHeads * kDim, out.data(), kHeads * kDim);
            });
  }

  // `bytes` that the op must move.
  void byte_case(const std::string& name, double bytes, const std::function<void(CpuPool&)>& body) {
    if (!skipped(name)) measure(name, bytes, 0.0, [&] { body(pool_); });
  }

 private:
  [[nodiscard]] bool skipped(const std::string& name) const {
    return name.find(options_.only) == std::string::npos;
  }

  static double seconds_of(const std::function<void()>& body) {
    const Clock::time_point begin = Clock::now();
    body();
    return std::chrono::duration<double>(Clock::now() - begin).count();
  }

  // The op and its ceilings in turns, so that all meet the same disturbance; the fastest pass of each counts.
  void measure(const std::string& name, double bytes, double flop, const std::function<void()>& op,
               const std::function<void()>& blas = nullptr) {
    constexpr int kLeast = 5;
    double seconds = 1e300;
    double blas_seconds = 1e300;
    double read = 0.0;
    const Clock::time_point start = Clock::now();
    for (int i = 0; i < kLeast || std::chrono::duration<double>(Clock::now() - start).count() < options_.seconds; ++i) {
      for (int repeat = 0; repeat < kLeast; ++repeat) {
        seconds = std::min(seconds, seconds_of(op));
        if (seconds > options_.seconds) break;  // one call is long enough
      }
      read = std::max(read, stream_.read_window());
      if (blas) blas_seconds = std::min(blas_seconds, seconds_of(blas));
    }
    std::printf("%-34s %8.1fus %8.2f %8.1f%% of %5.1f %9.2f", name.c_str(), seconds * 1e6, bytes / seconds * 1e-9,
                100.0 * bytes / seconds / read, read * 1e-9, flop / seconds * 1e-9);
    if (blas) std::printf(" %8.1f%% of %6.1f", 100.0 * blas_seconds / seconds, flop / blas_seconds * 1e-9);
    std::printf("\n");
    std::fflush(stdout);
  }

  Options options_;
  CpuPool pool_;
  ReadStream stream_;
};

void run_all(Bench& bench) {
  for (const WeightType type : {WeightType::kF32, WeightType::kBf16, WeightType::kF16}) {
    for (const std::int64_t m : {1, 2, 4, 6, 8, 16, 32}) bench.gemm_case(type, m, 1536, 576);
    bench.gemm_case(type, 1, 576, 1536);
    bench.gemm_case(type, 1, 49152, 576);
    for (const std::int64_t m : {64, 128, 512}) {
      bench.gemm_case(type, m, 1536, 576);
      bench.gemm_case(type, m, 576, 1536);
    }
    bench.gemm_case(type, 128, 4096, 4096);
    bench.gemm_case(type, 4096, 4096, 4096);
    bench.attention_case(type, 1, 1024, 1);
    bench.attention_case(type, 1, 8192, 1);
    bench.attention_case(type, 32, 1024, 1);
    bench.attention_case(type, 1, 0, 512);
    bench.attention_case(type, 1, 1536, 512);
  }
  constexpr std::int64_t kRows = 512, kWidth = 1536, kVocabulary = 49152;
  const auto x = random_floats(static_cast<std::size_t>(kRows * kWidth * 2));
  std::vector<float> y(static_cast<std::size_t>(kRows * kWidth));
  constexpr double kRowBytes = static_cast<double>(kRows * kWidth) * sizeof(float);
  bench.byte_case("rmsnorm 512x1536", 2 * kRowBytes, [&](CpuPool& pool) {
    rmsnorm(pool, x.data(), kWidth, x.data(), 1e-5, kRows, kWidth, y.data(), kWidth);
  });
  bench.byte_case("swiglu 512x1536", 3 * kRowBytes, [&](CpuPool& pool) {
    swiglu(pool, x.data(), 2 * kWidth, kRows, kWidth, y.data(), kWidth);
  });
  bench.byte_case("residual_add 512x1536", 3 * kRowBytes, [&](CpuPool& pool) {
    residual_add(pool, y.data(), kWidth, x.data(), kWidth, nullptr, kRows, kWidth);
  });
  const std::vector<std::int64_t> positions(static_cast<std::size_t>(kRows), 7);
  bench.byte_case("rope 512x24x64", 2 * kRowBytes, [&](CpuPool& pool) {
    rope(pool, y.data(), kWidth, kRows, kWidth / 64, 64, positions.data(), x.data(), x.data());
  });
  std::vector<Candidate> candidates;
  for (const std::int64_t count : {1, 64, 1024}) {
    bench.byte_case("top_candidates " + std::to_string(count) + " of 49152", kVocabulary * sizeof(float),
                    [&](CpuPool&) { top_candidates(x.data(), kVocabulary, 0, count, candidates); });
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--threads") == 0) options.threads = std::atoi(argv[i + 1]);
    else if (std::strcmp(argv[i], "--seconds") == 0) options.seconds = std::atof(argv[i + 1]);
    else if (std::strcmp(argv[i], "--only") == 0) options.only = argv[i + 1];
    else return std::fprintf(stderr, "unknown option %s\n", argv[i]), 2;
  }
  Bench bench(options);
  run_all(bench);
  return 0;
}
