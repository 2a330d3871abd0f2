// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <limits>
#include <map>
#include <string>

#include "exec/probe/probe.h"
#include "exec/probe/probe_parts.h"
#include "exec/runner/aligned_buffer.h"
#include "kernels/gemm.h"
#include "kernels/stream_read.h"

namespace lindos::exec {

namespace {

constexpr int kSize = 1024;   // of the square products below
constexpr int kRuns = 16;

// A matrix whose products are ordinary numbers.
AlignedBuffer square_matrix(std::uint32_t step) {
  AlignedBuffer matrix(std::size_t{kSize} * kSize * sizeof(float));
  for (std::uint32_t i = 0; i < kSize * kSize; ++i) matrix.floats()[i] = static_cast<float>((i * step) % 1000) / 1000.0F - 0.5F;
  return matrix;
}

FlopPerSecond best_rate(const std::function<void()>& product) {
  double best = std::numeric_limits<double>::infinity();
  for (int run = 0; run < kRuns; ++run) {
    const auto t0 = std::chrono::steady_clock::now();
    product();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
  }
  return Flop{2.0 * kSize * kSize * kSize} / Seconds{best};
}

// The ceiling that MFU refers to on a CPU: the fastest product that anyone here can show. An independent library, so
// that the engine is not measured by itself alone; and the engine's own kernel, since a library older than the
// processor takes it for a lesser one (OpenBLAS 0.3.21 runs AVX2 code on Zen 5, at half the rate). Of bf16
// and f16 the engine's own, or that of f32 where it is faster: such a product could be done in f32.
std::map<Dtype, FlopPerSecond> measure_matrix_rates(int cores) {
  AlignedBuffer a = square_matrix(2654435761U);
  AlignedBuffer b = square_matrix(40503U);
  AlignedBuffer c(std::size_t{kSize} * kSize * sizeof(float));
  openblas_set_num_threads(cores);
  const FlopPerSecond library = best_rate([&] {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, kSize, kSize, kSize, 1.0F, a.floats(), kSize, b.floats(), kSize,
                0.0F, c.floats(), kSize);
  });
  kernels::CpuPool pool(cores);
  const auto engine = [&](kernels::WeightType type) {
    AlignedBuffer packed(kernels::packed_bytes(type, kSize, kSize));
    kernels::pack_weights(type, kSize, kSize, 0, kSize, b.floats(), packed.data());
    const kernels::PackedWeights weights{packed.data(), type, kSize, kSize};
    return best_rate([&] { kernels::gemm(pool, weights, a.floats(), kSize, kSize, c.floats(), kSize, false); });
  };
  const FlopPerSecond f32 = std::max(library, engine(kernels::WeightType::kF32));
  return {{Dtype::kF32, f32},
          {Dtype::kBf16, std::max(f32, engine(kernels::WeightType::kBf16))},
          {Dtype::kF16, std::max(f32, engine(kernels::WeightType::kF16))}};
}

}  // namespace

std::string today_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[16];
  std::strftime(text, sizeof(text), "%Y-%m-%d", &utc);
  return text;
}

Profile probe_ceilings(int cores) {
  Profile profile;
  profile.device = "this-machine";
  profile.label = std::to_string(cores) + " cores of " + cpu_label() + " (" + kernels::gemm_isa() + ")";
  profile.source = "lindos probe";
  profile.date = today_utc();
  profile.cores = cores;
  profile.memory = machine_memory();
  profile.matrix_rates = measure_matrix_rates(cores);
  profile.matrix_rate = profile.matrix_rates.at(Dtype::kF32);
  for (int t = 1; t <= cores; ++t) {
    kernels::CpuPool pool(t);
    profile.read_bandwidth_by_threads.push_back(
        BytesPerSecond{kernels::measure_read_bandwidth(pool, 2 * cold_bytes())});
  }
  profile.read_bandwidth = *std::max_element(profile.read_bandwidth_by_threads.begin(),
                                             profile.read_bandwidth_by_threads.end());
  return profile;
}

}  // namespace lindos::exec
