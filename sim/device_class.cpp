// SPDX-License-Identifier: Apache-2.0
#include "sim/device_class.h"

#include <array>

namespace lindos::sim {

namespace {

constexpr Seconds kKernelLaunch{3e-6};

// Shares that a kernel reaches alone, × what training keeps of them for hours at the power limit
// (`sustained`). The first are microbenchmarks; the second is one number per generation, fitted on
// published step times (docs/training-accuracy.md).
constexpr DeviceClass gpu(const char* name, double bf16, double fp8, double fp4, double unhidden,
                          double attention, double attention_half, double sustained, double ring,
                          Seconds ring_start) {
  DeviceClass c;
  c.name = name;
  c.gemm_bf16 = bf16 * sustained;
  c.gemm_fp8 = fp8 * sustained;
  c.gemm_fp4 = fp4 * sustained;
  c.unhidden = unhidden;
  c.attention = attention * sustained;
  c.attention_half = attention_half;
  c.launch = kKernelLaunch;
  c.ring = ring;
  c.ring_start = ring_start;
  return c;
}

// bf16 GEMM of Ampere: cuBLASLt from 2048^3 to 16384^3, Azure/AI-benchmarking-guide @8fd0c6e1,
// ND_A100_v4 (8 rows; 5 %). Fused attention: FlashAttention-2 at 8,192 keys, same source.
constexpr DeviceClass kAmpere =
    gpu("Ampere", 0.83, 0.83, 0.83, 0.62, 0.61, 500.0, 0.96, 0.66, Seconds(40e-6));

// bf16 GEMM and attention of Hopper: aiconfigurator @095f58a, h100_sxm, vllm/0.24.0 and
// trtllm/1.3.0rc20, rows with m >= 1024 (median error 4-5 %; attention at head width 128, 1-3 %).
// fp8: cuBLASLt from 2048^3 to 32768^3, Azure/AI-benchmarking-guide @8fd0c6e1, ND_H100_v5 (3 %).
constexpr DeviceClass kHopper =
    gpu("Hopper", 0.80, 0.70, 0.70, 0.30, 0.65, 900.0, 0.80, 0.72, Seconds(21e-6));

// bf16 GEMM and attention of Blackwell: aiconfigurator @095f58a, gb200 (median error 5-8 %). fp8
// and fp4: the same tables at n >= 8192, where the cast that they include is small.
constexpr DeviceClass kBlackwell =
    gpu("Blackwell", 0.66, 0.66, 0.48, 0.30, 0.56, 1700.0, 0.82, 0.65, Seconds(28e-6));

// Blackwell Ultra: no table of its own; Blackwell's shares of a peak that the datasheet puts as
// high.
constexpr DeviceClass kBlackwellUltra =
    gpu("Blackwell Ultra", 0.66, 0.66, 0.48, 0.30, 0.56, 1700.0, 0.97, 0.65, Seconds(28e-6));

constexpr DeviceClass cpu() {
  DeviceClass c;
  c.name = "CPU";
  return c;
}
constexpr DeviceClass kCpu = cpu();

}  // namespace

double DeviceClass::gemm(Dtype dtype) const {
  switch (dtype) {
    case Dtype::kFp8:
    case Dtype::kInt8:
      return gemm_fp8;
    case Dtype::kFp4:
      return gemm_fp4;
    case Dtype::kF32:
    case Dtype::kF16:
    case Dtype::kBf16:
      break;
  }
  return gemm_bf16;
}

const DeviceClass& device_class(int compute_capability) {
  if (compute_capability <= 0) return kCpu;
  if (compute_capability < 90) return kAmpere;
  if (compute_capability < 100) return kHopper;
  if (compute_capability < 103) return kBlackwell;
  return kBlackwellUltra;
}

}  // namespace lindos::sim
