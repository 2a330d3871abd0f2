// SPDX-License-Identifier: Apache-2.0
// What tuned kernels sustain of the ceilings a datasheet states, per GPU generation: the constants
// of every analytic price (analytic_cost.h), for serving and for training alike. Shares are of the
// dense peak of the op's format and of the memory bandwidth; 1 = the datasheet. Each figure's
// source stands beside it in device_class.cpp; docs/training-accuracy.md says how they were found
// and what they predict on rows they have not seen.
#pragma once

#include "scenarios/dtype.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct DeviceClass {
  const char* name = "";
  double gemm_bf16 = 0.75;  // large matrix products, for hours at the power limit
  double gemm_fp8 = 0.75;
  double gemm_fp4 = 0.75;
  // Arithmetic and memory traffic of one kernel overlap but for this share of the shorter of the
  // two.
  double unhidden = 0.0;
  // Fused causal attention, forward, of the bf16 peak: with very long sequences, and the keys per
  // sequence at which it sustains half of that. Portable: kernels that run on any generation.
  double attention = 0.5;
  double attention_half = 0.0;
  double portable_attention = 0.5;
  double portable_attention_half = 0.0;
  double attention_backward = 0.8;  // of the forward pass' rate
  double decode_attention = 0.75;   // of the bandwidth
  double stream = 0.8;              // byte-bound kernels, of the bandwidth
  // Rings over the scale-up links: of a link's one-way rate, and start-up.
  double ring = 0.75;
  Seconds ring_start{12e-6};
  Seconds launch{0};  // of one kernel
  [[nodiscard]] double gemm(Dtype dtype) const;
};

// By CUDA compute capability (90 = sm_90): the newest class that is not newer. 0 = a CPU.
[[nodiscard]] const DeviceClass& device_class(int compute_capability);

}  // namespace lindos::sim
