// SPDX-License-Identifier: Apache-2.0
// Parts that the attention kernels share: places of pages and heads, the transform of a head, tiles in shared memory.
#pragma once

#include "kernels/cuda/attention.h"
#include "kernels/cuda/common.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"

namespace lindos::kernels::cuda {

inline constexpr float kLog2E = 1.4426950408889634F;

// Keys (values: + one half) of one KV head in a block.
__device__ __forceinline__ Number* keys_of(const DeviceKv& kv, int block, int head) {
  return kv.pages + (static_cast<std::int64_t>(block) * 2 * kv.kv_heads + head) * kDevicePageTokens * kv.head_dim;
}
__device__ __forceinline__ std::int64_t values_offset(const DeviceKv& kv) {
  return static_cast<std::int64_t>(kv.kv_heads) * kDevicePageTokens * kv.head_dim;
}

// A head in the registers of a warp: lane l holds the pairs (i, i + kDim / 2) of i = l, l + 32, …, which rotation mixes.
template <Element kElement, int kDim>
struct HeadPairs {
  static constexpr int kPairs = kDim / 2 / kWarp;
  float low[kPairs];
  float high[kPairs];

  __device__ __forceinline__ void load(const Number* source, int lane) {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      low[j] = widen<kElement>(source[lane + kWarp * j]);
      high[j] = widen<kElement>(source[lane + kWarp * j + kDim / 2]);
    }
  }
  __device__ __forceinline__ void normalise(const Number* norm, float eps, int lane) {
    float squares = 0.0F;
#pragma unroll
    for (int j = 0; j < kPairs; ++j) squares += low[j] * low[j] + high[j] * high[j];
    const float scale = rsqrtf(sum_over_warp(squares) / static_cast<float>(kDim) + eps);
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      low[j] *= scale * widen<kElement>(norm[lane + kWarp * j]);
      high[j] *= scale * widen<kElement>(norm[lane + kWarp * j + kDim / 2]);
    }
  }
  // put(i, value) for every element.
  template <class Put>
  __device__ __forceinline__ void each(int lane, Put put) const {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      put(lane + kWarp * j, narrow<kElement>(low[j]));
      put(lane + kWarp * j + kDim / 2, narrow<kElement>(high[j]));
    }
  }
};

template <int kDim>
struct Rotation {
  static constexpr int kPairs = kDim / 2 / kWarp;
  float cos[kPairs];
  float sin[kPairs];

  __device__ __forceinline__ Rotation(const HeadTransform& transform, int position, int lane) {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      cos[j] = transform.cos[static_cast<std::int64_t>(position) * (kDim / 2) + lane + kWarp * j];
      sin[j] = transform.sin[static_cast<std::int64_t>(position) * (kDim / 2) + lane + kWarp * j];
    }
  }
  template <Element kElement>
  __device__ __forceinline__ void apply(HeadPairs<kElement, kDim>& head) const {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      const float low = head.low[j] * cos[j] - head.high[j] * sin[j];
      head.high[j] = head.high[j] * cos[j] + head.low[j] * sin[j];
      head.low[j] = low;
    }
  }
};

// Tiles in shared memory: rows of kDim values in chunks of 16 bytes, shuffled so that no two lanes of a load meet in a
// bank. Fragments read as uint4 (element.cuh, mma_16x8x32) take 4 neighbouring chunks of 2 neighbouring rows at once;
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
