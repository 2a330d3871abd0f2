// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/quantise.h"

#include <cuda_fp8.h>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr float kLargest = 448.0F;
constexpr float kLeast = 1e-30F;   // of a row's largest value: smaller ones are zero, their reciprocal would overflow

// NaN if either is: it must reach the scale, and through it the logits, where it is seen.
__device__ __forceinline__ float larger(float a, float b) { return a > b || isnan(a) ? a : b; }

// Eight values of v at 8·i.
template <QuantiseInput kInput>
__device__ __forceinline__ void values(const uint4* row, const uint4* norm, std::int64_t vectors, float scale, std::int64_t i,
                                       float (&v)[8]) {
  unpack_eight<Element::kBf16>(v, row[i]);
  if constexpr (kInput == QuantiseInput::kNorm) {
    float weight[8];
    unpack_eight<Element::kBf16>(weight, __ldg(norm + i));
#pragma unroll
    for (int j = 0; j < 8; ++j) v[j] *= scale * weight[j];
  } else if constexpr (kInput == QuantiseInput::kSwiglu) {
    float up[8];
    unpack_eight<Element::kBf16>(up, row[vectors + i]);
#pragma unroll
    for (int j = 0; j < 8; ++j) v[j] = silu(v[j]) * up[j];
  }
}

// A block per row. The row is read twice, the second time from L1 or L2.
template <QuantiseInput kInput>
__global__ void __launch_bounds__(kThreads) quantise_kernel(const QuantiseRows q) {
  wait_for_predecessor();
  if (q.count != nullptr && static_cast<int>(blockIdx.x) >= __ldcg(q.count)) {
    release_dependents();
    return;
  }
  const std::int64_t vectors = q.k / 8;
  const auto* row = reinterpret_cast<const uint4*>(q.x) + blockIdx.x * vectors * (kInput == QuantiseInput::kSwiglu ? 2 : 1);
  const auto* norm = reinterpret_cast<const uint4*>(q.norm);
  float norm_scale = 1.0F;
  if constexpr (kInput == QuantiseInput::kNorm) {
    float squares = 0.0F;
    for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) add_squares<Element::kBf16>(squares, row[i]);
    norm_scale = rsqrtf(sum_over_block<kThreads>(squares) / static_cast<float>(q.k) + q.eps);
  }
  float most = 0.0F;
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
    float v[8];
    values<kInput>(row, norm, vectors, norm_scale, i, v);
#pragma unroll
    for (int j = 0; j < 8; ++j) most = larger(most, fabsf(v[j]));
  }
  most = reduce_over_block<kThreads>(most, [](float a, float b) { return larger(a, b); });
  const float scale = most < kLeast ? 1.0F : most / kLargest;
  const float inverse = 1.0F / scale;
  if (threadIdx.x == 0) q.scales[blockIdx.x] = scale;
  auto* out = reinterpret_cast<uint2*>(q.y + blockIdx.x * q.k);
  for (std::int64_t i = threadIdx.x; i < vectors; i += kThreads) {
    float v[8];
    values<kInput>(row, norm, vectors, norm_scale, i, v);
    std::uint32_t words[2];
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const auto low = __nv_cvt_float2_to_fp8x2({v[4 * j] * inverse, v[4 * j + 1] * inverse}, __NV_SATFINITE, __NV_E4M3);
      const auto high = __nv_cvt_float2_to_fp8x2({v[4 * j + 2] * inverse, v[4 * j + 3] * inverse}, __NV_SATFINITE, __NV_E4M3);
      words[j] = static_cast<std::uint32_t>(low) | static_cast<std::uint32_t>(high) << 16U;
    }
    out[i] = {words[0], words[1]};
  }
  release_dependents();
}

}  // namespace

void quantise_rows(const QuantiseRows& q, const Launch& launch) {
  if (q.rows == 0 || q.k == 0) return;
  const dim3 grid(static_cast<unsigned>(q.rows));
  switch (q.input) {
    case QuantiseInput::kPlain: launch_kernel(launch, quantise_kernel<QuantiseInput::kPlain>, grid, dim3(kThreads), 0, q); break;
    case QuantiseInput::kNorm: launch_kernel(launch, quantise_kernel<QuantiseInput::kNorm>, grid, dim3(kThreads), 0, q); break;
    case QuantiseInput::kSwiglu: launch_kernel(launch, quantise_kernel<QuantiseInput::kSwiglu>, grid, dim3(kThreads), 0, q); break;
  }
}

}  // namespace lindos::kernels::cuda
