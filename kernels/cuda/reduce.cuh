// SPDX-License-Identifier: Apache-2.0
// Sums, maxima and running sums over the threads of a warp or a block. All threads named take part.
#pragma once

#include "kernels/cuda/common.cuh"

namespace lindos::kernels::cuda {

// f over the lanes; every lane gets it.
template <class F>
__device__ __forceinline__ float reduce_over_warp(float value, F f) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) value = f(value, __shfl_xor_sync(0xffffffffU, value, offset));
  return value;
}
__device__ __forceinline__ float sum_over_warp(float value) {
  return reduce_over_warp(value, [](float a, float b) { return a + b; });
}

// f over a block of kThreads, the warps in order; every thread gets it.
template <int kThreads, class F>
__device__ __forceinline__ float reduce_over_block(float value, F f) {
  constexpr int kWarps = kThreads / kWarp;
  __shared__ float parts[kWarps];
  value = reduce_over_warp(value, f);
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = value;
  __syncthreads();
  float all = parts[0];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) all = f(all, parts[w]);
  __syncthreads();
  return all;
}
template <int kThreads>
__device__ __forceinline__ float sum_over_block(float value) {
  return reduce_over_block<kThreads>(value, [](float a, float b) { return a + b; });
}

// Sum of the values of this lane and those before it.
__device__ __forceinline__ int running_sum_over_warp(int value) {
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int offset = 1; offset < kWarp; offset *= 2) {
    const int other = __shfl_up_sync(0xffffffffU, value, offset);
    if (lane >= offset) value += other;
  }
  return value;
}

// Adds what the warps left of a tile of products, [warp][lane], in the order of warps.
template <int kWarps>
__device__ __forceinline__ void add_tiles_of_warps(const float4* of_warps, int lane, float (&sum)[4]) {
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    const float4 p = of_warps[w * kWarp + lane];
    sum[0] += p.x;
    sum[1] += p.y;
    sum[2] += p.z;
    sum[3] += p.w;
  }
}

}  // namespace lindos::kernels::cuda
