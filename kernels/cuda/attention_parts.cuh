// SPDX-License-Identifier: Apache-2.0
// Parts that the attention kernels share: places of pages and heads, the transform of a head, tiles in shared memory.
#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/common.cuh"

namespace lindos::kernels::cuda {

inline constexpr float kLog2E = 1.4426950408889634F;

// Keys (values: + one half) of one KV head in a block.
__device__ __forceinline__ bf16* keys_of(const DeviceKv& kv, int block, int head) {
  return kv.pages + (static_cast<std::int64_t>(block) * 2 * kv.kv_heads + head) * kDevicePageTokens * kv.head_dim;
}
__device__ __forceinline__ std::int64_t values_offset(const DeviceKv& kv) {
  return static_cast<std::int64_t>(kv.kv_heads) * kDevicePageTokens * kv.head_dim;
}

// One warp: a head of q or k, normalised if `norm` is given, rotated for `position`; pairs (i, i + kDim / 2).
template <int kDim>
__device__ __forceinline__ void transform_head(const bf16* source, bf16* destination, const bf16* norm,
                                               const HeadTransform& transform, int position, int lane) {
  constexpr int kPairs = kDim / 2 / kWarp;
  float low[kPairs];
  float high[kPairs];
  float squares = 0.0F;
#pragma unroll
  for (int j = 0; j < kPairs; ++j) {
    low[j] = __bfloat162float(source[lane + kWarp * j]);
    high[j] = __bfloat162float(source[lane + kWarp * j + kDim / 2]);
    squares += low[j] * low[j] + high[j] * high[j];
  }
  float scale = 1.0F;
  if (norm != nullptr) scale = rsqrtf(sum_over_warp(squares) / static_cast<float>(kDim) + transform.eps);
#pragma unroll
  for (int j = 0; j < kPairs; ++j) {
    const int i = lane + kWarp * j;
    if (norm != nullptr) {
      low[j] *= scale * __bfloat162float(norm[i]);
      high[j] *= scale * __bfloat162float(norm[i + kDim / 2]);
    }
    const float c = transform.cos[static_cast<std::int64_t>(position) * (kDim / 2) + i];
    const float s = transform.sin[static_cast<std::int64_t>(position) * (kDim / 2) + i];
    destination[i] = __float2bfloat16(low[j] * c - high[j] * s);
    destination[i + kDim / 2] = __float2bfloat16(high[j] * c + low[j] * s);
  }
}

// Tiles in shared memory: rows of kDim values in chunks of 16 bytes, shuffled so that no two lanes of a load meet in a
// bank. Fragments read as uint4 (common.cuh, mma_16x8x32) take 4 neighbouring chunks of 2 neighbouring rows at once;
// transposed 8 × 8 tiles take one chunk of 8 rows.
template <int kDim>
__device__ __forceinline__ int fragment_place(int row, int chunk) {   // bytes
  return row * kDim * 2 + ((chunk ^ ((row & 1) << 2)) << 4);
}
template <int kDim>
__device__ __forceinline__ int transposed_place(int row, int chunk) {
  return row * kDim * 2 + ((chunk ^ (row & 7)) << 4);
}

// Maximum and sum over the four lanes that hold a row.
__device__ __forceinline__ float quad_max(float v) {
  v = fmaxf(v, __shfl_xor_sync(0xffffffffU, v, 1));
  return fmaxf(v, __shfl_xor_sync(0xffffffffU, v, 2));
}
__device__ __forceinline__ float quad_sum(float v) {
  v += __shfl_xor_sync(0xffffffffU, v, 1);
  return v + __shfl_xor_sync(0xffffffffU, v, 2);
}

}  // namespace lindos::kernels::cuda
