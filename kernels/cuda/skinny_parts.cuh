// SPDX-License-Identifier: Apache-2.0
// Parts of products of few rows, shared by skinny_gemm and decode_step: tiles of W, x in shared memory, what becomes of sums.
#pragma once

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/skinny_gemm.h"

namespace lindos::kernels::cuda {

inline constexpr int kSkinnyWarps = 8;
inline constexpr int kSkinnyThreads = kSkinnyWarps * kWarp;
inline constexpr int kSkinnyTile = 16;                 // rows of W per tile
inline constexpr int kSkinnyChunk = 64;                    // columns of W per stage: a line of 128 bytes per row
inline constexpr int kSkinnyStage = kSkinnyTile * kSkinnyChunk * 2;   // bytes
// Partial sums of two tiles, sums of squares.
inline constexpr int kSums = 2 * kSkinnyThreads * static_cast<int>(sizeof(float4)) + kSkinnyRows * kSkinnyWarps * static_cast<int>(sizeof(float));

// 64 bytes beyond a multiple of 128: rows g and g + 1 then lie in different halves of the 32 banks.
__host__ __device__ constexpr int x_row_bytes(std::int64_t k) {
  return static_cast<int>((k * 2 + 127) / 128 * 128 + 64);
}

// Row `r` of tile `tile`, nullptr beyond the matrix; kSwiglu interleaves 8 rows of the gate with the same 8 of `up`.
template <SkinnyOutput kOutput>
__device__ __forceinline__ const bf16* row_of(const SkinnyGemm& g, int tile, int r) {
  if constexpr (kOutput == SkinnyOutput::kSwiglu) {
    const std::int64_t row = static_cast<std::int64_t>(tile) * 8 + r % 8;
    return row < g.n ? (r < 8 ? g.weights : g.up) + row * g.k : nullptr;
  } else {
    const std::int64_t row = static_cast<std::int64_t>(tile) * kSkinnyTile + r;
    return row < g.n ? g.weights + row * g.k : nullptr;
  }
}

// x into shared memory, normalised if asked. All rows are on their way at once. `sums`: [kSkinnyWarps].
__device__ __forceinline__ void take_x(const SkinnyGemm& g, unsigned char* x_shared, int x_row, float* sums) {
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int vectors = static_cast<int>(g.k / 8);
  for (int row = 0; row < g.m; ++row) {
    const bf16* source = g.x + row * g.ldx;
    unsigned char* destination = x_shared + row * x_row;
    for (int i = threadIdx.x; i < vectors; i += kSkinnyThreads) copy_async_16(shared_address(destination + i * 16), source + i * 8);
  }
  commit_copies();
  wait_for_copies<0>();
  __syncthreads();
  if (g.norm == nullptr) return;
  // Each row by 8, 4, 2 or 1 warps.
  const int warps_per_row = kSkinnyWarps / (g.m > 4 ? 8 : g.m > 2 ? 4 : g.m);
  const int row = warp / warps_per_row;
  const int begin = warp % warps_per_row * kWarp + lane;
  const int step = warps_per_row * kWarp;
  auto* values = reinterpret_cast<uint4*>(x_shared + row * x_row);
  float squares = 0.0F;
  if (row < g.m) {
#pragma unroll 4
    for (int i = begin; i < vectors; i += step) {
      const uint4 v = values[i];
      for (const std::uint32_t pair : {v.x, v.y, v.z, v.w}) {
        const float2 f = unpack(pair);
        squares += f.x * f.x + f.y * f.y;
      }
    }
  }
  squares = sum_over_warp(squares);
  if (lane == 0) sums[warp] = squares;
  __syncthreads();
  if (row < g.m) {
    float total = 0.0F;
    for (int w = 0; w < warps_per_row; ++w) total += sums[row * warps_per_row + w];
    const float scale = rsqrtf(total / static_cast<float>(g.k) + g.eps);
    const auto* norm = reinterpret_cast<const uint4*>(g.norm);
#pragma unroll 4
    for (int i = begin; i < vectors; i += step) {
      const uint4 v = values[i];
      const uint4 w = __ldg(norm + i);
      const auto scaled = [scale](std::uint32_t x, std::uint32_t weight) {
        const float2 a = unpack(x);
        const float2 b = unpack(weight);
        return pack(a.x * scale * b.x, a.y * scale * b.y);
      };
      values[i] = {scaled(v.x, w.x), scaled(v.y, w.y), scaled(v.z, w.z), scaled(v.w, w.w)};
    }
  }
  __syncthreads();
}

// Sums of a tile's lanes (layout of mma_16x8x16) to y.
template <SkinnyOutput kOutput>
__device__ __forceinline__ void finish(const SkinnyGemm& g, int tile, int lane, const float (&sum)[4]) {
  const int group = lane / 4;
  const int token0 = lane % 4 * 2;
  const auto store = [&](int token, std::int64_t row, float value) {
    if (token >= g.m || row >= g.n) return;
    const std::int64_t at = token * g.ldy + row;
    if (g.bias != nullptr) value += __bfloat162float(g.bias[row]);
    if constexpr (kOutput == SkinnyOutput::kLogits) {
      static_cast<float*>(g.y)[at] = value;
    } else {
      auto* y = static_cast<bf16*>(g.y);
      if constexpr (kOutput == SkinnyOutput::kAdd) value += __bfloat162float(__ldcg(y + at));   // past L1, see decode_step
      y[at] = __float2bfloat16(value);
    }
  };
  if constexpr (kOutput == SkinnyOutput::kSwiglu) {
    const std::int64_t row = static_cast<std::int64_t>(tile) * 8 + group;
    if (row >= g.n) return;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      if (token0 + j >= g.m) continue;
      float gate = sum[j];
      float up = sum[2 + j];
      if (g.bias != nullptr) gate += __bfloat162float(g.bias[row]);
      if (g.up_bias != nullptr) up += __bfloat162float(g.up_bias[row]);
      static_cast<bf16*>(g.y)[(token0 + j) * g.ldy + row] = __float2bfloat16(gate / (1.0F + __expf(-gate)) * up);
    }
  } else {
    const std::int64_t row = static_cast<std::int64_t>(tile) * kSkinnyTile + group;
    store(token0, row, sum[0]);
    store(token0 + 1, row, sum[1]);
    store(token0, row + 8, sum[2]);
    store(token0 + 1, row + 8, sum[3]);
  }
}

}  // namespace lindos::kernels::cuda
