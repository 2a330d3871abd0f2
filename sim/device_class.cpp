// SPDX-License-Identifier: Apache-2.0
#include "sim/device_class.h"

namespace lindos::sim {

namespace {

// What training keeps of a kernel's own rate for hours at the power limit: one number per
// generation, fitted on published step times (docs/training-accuracy.md). Memory and links keep
// their pace.
constexpr DeviceClass sustained(DeviceClass alone, double share) {
  alone.gemm_bf16 *= share;
  alone.gemm_fp8 *= share;
  alone.gemm_fp4 *= share;
  alone.attention *= share;
  alone.portable_attention *= share;
  return alone;
}

constexpr Seconds kKernelLaunch{3e-6};  // 2.3-3.8 us in every GEMM table of aiconfigurator @095f58a

// GEMM: cuBLASLt in fp16 from 2048^3 to 16384^3, Azure/AI-benchmarking-guide @8fd0c6e1, ND_A100_v4
// (8 rows, error up to 5 %). Attention: FlashAttention-2 at 8,192 keys, same source; assume: half
// of it at 500 keys. Rings: aiconfigurator's NCCL rows, all-gather and reduce-scatter of 4 and 8
// GPUs from 4 MiB to 512 MiB (facts of a100_sxm; 3-8 %).
constexpr DeviceClass kAmpere = sustained({.name = "Ampere",
                                           .gemm_bf16 = 0.83,
                                           .gemm_fp8 = 0.83,
                                           .gemm_fp4 = 0.83,
                                           .unhidden = 0.62,
                                           .attention = 0.61,
                                           .attention_half = 500.0,
                                           .portable_attention = 0.61,
                                           .portable_attention_half = 500.0,
                                           .ring = 0.65,
                                           .ring_start = Seconds{40e-6},
                                           .launch = kKernelLaunch},
                                          0.94);

// bf16 GEMM and attention: aiconfigurator @095f58a, h100_sxm, vllm/0.24.0 and trtllm/1.3.0rc20,
// rows with m >= 1024 (median error 4-5 %) and head width 128 (1-3 %). fp8 GEMM: cuBLASLt from
// 2048^3 to 32768^3, Azure/AI-benchmarking-guide @8fd0c6e1, ND_H100_v5 (3 %), which also has
// FlashAttention-2 at 8,192 keys. Rings: as above, h100_sxm (2-3 %).
constexpr DeviceClass kHopper = sustained({.name = "Hopper",
                                           .gemm_bf16 = 0.80,
                                           .gemm_fp8 = 0.70,
                                           .gemm_fp4 = 0.70,
                                           .unhidden = 0.30,
                                           .attention = 0.65,
                                           .attention_half = 900.0,
                                           .portable_attention = 0.35,
                                           .portable_attention_half = 500.0,
                                           .ring = 0.71,
                                           .ring_start = Seconds{23e-6},
                                           .launch = kKernelLaunch},
                                          0.75);

// aiconfigurator @095f58a, gb200: bf16 GEMM and attention (median error 5-8 %); fp8 and fp4 at n >=
// 8192, where the cast that those rows include is small. assume: portable kernels run at Hopper's
// rate. Rings: as above, b200_sxm and gb200 (5-13 %).
constexpr DeviceClass kBlackwellAlone{.name = "Blackwell",
                                      .gemm_bf16 = 0.66,
                                      .gemm_fp8 = 0.66,
                                      .gemm_fp4 = 0.48,
                                      .unhidden = 0.30,
                                      .attention = 0.56,
                                      .attention_half = 1700.0,
                                      .portable_attention = 0.14,
                                      .portable_attention_half = 500.0,
                                      .ring = 0.64,
                                      .ring_start = Seconds{30e-6},
                                      .launch = kKernelLaunch};
constexpr DeviceClass kBlackwell = sustained(kBlackwellAlone, 0.80);
// No table of its own: Blackwell's shares of equal peaks, at 1.4 instead of 1.2 kW.
constexpr DeviceClass kBlackwellUltra = sustained(kBlackwellAlone, 0.97);

constexpr DeviceClass kCpu{.name = "CPU"};

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
