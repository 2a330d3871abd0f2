// SPDX-License-Identifier: Apache-2.0
#include <cblas.h>
#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <vector>

#include "exec/probe/probe.h"
#include "exec/probe/probe_parts.h"
#include "kernels/stream_read.h"

namespace lindos::exec {

namespace {

// Best of several 1024-wide SGEMMs by an independent library: the ceiling that MFU refers to on a CPU.
FlopPerSecond measure_sgemm(int cores) {
  constexpr int kSize = 1024;
  constexpr int kRuns = 8;
  openblas_set_num_threads(cores);
  std::vector<float> a(kSize * kSize), b(kSize * kSize), c(kSize * kSize);
  for (std::size_t i = 0; i < a.size(); ++i) {
    a[i] = static_cast<float>((i * 2654435761U) % 1000) / 1000.0F - 0.5F;
    b[i] = static_cast<float>((i * 40503U) % 1000) / 1000.0F - 0.5F;
  }
  double best = 1e30;
  for (int run = 0; run < kRuns; ++run) {
    const auto t0 = std::chrono::steady_clock::now();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, kSize, kSize, kSize, 1.0F, a.data(), kSize,
                b.data(), kSize, 0.0F, c.data(), kSize);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - t0).count());
  }
  return Flop{2.0 * kSize * kSize * kSize} / Seconds{best};
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
  profile.matrix_rate = measure_sgemm(cores);
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
