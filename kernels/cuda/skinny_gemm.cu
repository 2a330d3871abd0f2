// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/skinny_gemm.h"

#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"

namespace lindos::kernels::cuda {

namespace {

// As many consumer warps as stages: stage s of the ring is always warp s's, which therefore sees every phase of its
// barrier. (A wait by parity cannot tell a phase from the one two later.)
constexpr int kMaxStages = 6;
constexpr int kThreads = (kMaxStages + 1) * kWarp;              // and the producer
constexpr int kTileRows = 16;                                   // rows of W per tile
constexpr int kChunk = 512;                                     // columns of W per stage
// 64 bytes beyond a multiple of 128: rows g and g + 1 then lie in different halves of the 32 banks.
constexpr int kStageRow = kChunk * 2 + 64;                      // bytes
constexpr int kStage = kTileRows * kStageRow;                   // bytes
// Two blocks, of this kernel and of the next, share an SM's 227 KB.
constexpr int kBlockShared = 112 * 1024;
constexpr int kLargestX = 66 * 1024;

struct Shape {
  int tiles;
  int chunks;      // per tile
  int stages;      // and consumer warps
  int x_row;       // bytes of a row of x in shared memory; 0: x stays in global memory
};

__host__ __device__ constexpr int x_row_bytes(std::int64_t k) {
  return static_cast<int>((k * 2 + 127) / 128 * 128 + 64);
}

// Row of W that row `r` of tile `tile` is; kSwiglu interleaves 8 rows of the gate with the same 8 of `up`.
template <SkinnyOutput kOutput>
__device__ __forceinline__ const bf16* row_of(const SkinnyGemm& g, int tile, int r) {
  if constexpr (kOutput == SkinnyOutput::kSwiglu) {
    const std::int64_t row = static_cast<std::int64_t>(tile) * 8 + r % 8;
    if (row >= g.n) return nullptr;
    return (r < 8 ? g.weights : g.up) + row * g.k;
  } else {
    const std::int64_t row = static_cast<std::int64_t>(tile) * kTileRows + r;
    return row < g.n ? g.weights + row * g.k : nullptr;
  }
}

__device__ __forceinline__ void consumers_meet(const Shape& shape) {
  asm volatile("bar.sync 1, %0;" ::"r"(shape.stages * kWarp) : "memory");
}

// x into shared memory, normalised if asked. `sums`: [kSkinnyRows][kMaxStages].
__device__ __forceinline__ void take_x(const SkinnyGemm& g, const Shape& shape, unsigned char* x_shared, float* sums) {
  const int threads = shape.stages * kWarp;
  const int warp = threadIdx.x / kWarp;
  const int vectors = static_cast<int>(g.k / 8);
  for (int row = 0; row < g.m; ++row) {
    const auto* source = reinterpret_cast<const uint4*>(g.x + row * g.ldx);
    auto* destination = reinterpret_cast<uint4*>(x_shared + row * shape.x_row);
    float squares = 0.0F;
    for (int i = threadIdx.x; i < vectors; i += threads) {
      const uint4 v = source[i];
      destination[i] = v;
      for (const std::uint32_t pair : {v.x, v.y, v.z, v.w}) {
        const float2 f = unpack(pair);
        squares += f.x * f.x + f.y * f.y;
      }
    }
    if (g.norm == nullptr) continue;
    squares = sum_over_warp(squares);
    if (threadIdx.x % kWarp == 0) sums[row * kMaxStages + warp] = squares;
  }
  consumers_meet(shape);
  if (g.norm == nullptr) return;
  const auto* norm = reinterpret_cast<const uint4*>(g.norm);
  for (int row = 0; row < g.m; ++row) {
    float total = 0.0F;
    for (int w = 0; w < shape.stages; ++w) total += sums[row * kMaxStages + w];
    const float scale = rsqrtf(total / static_cast<float>(g.k) + g.eps);
    auto* values = reinterpret_cast<uint4*>(x_shared + row * shape.x_row);
    for (int i = threadIdx.x; i < vectors; i += threads) {
      const uint4 v = values[i];
      const uint4 w = norm[i];
      const auto scaled = [scale](std::uint32_t x, std::uint32_t weight) {
        const float2 a = unpack(x);
        const float2 b = unpack(weight);
        return pack(a.x * scale * b.x, a.y * scale * b.y);
      };
      values[i] = {scaled(v.x, w.x), scaled(v.y, w.y), scaled(v.z, w.z), scaled(v.w, w.w)};
    }
  }
  consumers_meet(shape);
}

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
      if constexpr (kOutput == SkinnyOutput::kAdd) value += __bfloat162float(y[at]);
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
    const std::int64_t row = static_cast<std::int64_t>(tile) * kTileRows + group;
    store(token0, row, sum[0]);
    store(token0 + 1, row, sum[1]);
    store(token0, row + 8, sum[2]);
    store(token0 + 1, row + 8, sum[3]);
  }
}

// Shared memory: ring of stages | x | partial sums of two tiles | sums of squares | barriers. The last warp is the producer.
template <SkinnyOutput kOutput, bool kXShared>
__global__ void __launch_bounds__(kThreads) skinny_kernel(const SkinnyGemm g, const Shape shape) {
  extern __shared__ __align__(128) unsigned char shared[];
  unsigned char* ring = shared;
  unsigned char* x_shared = ring + shape.stages * kStage;
  auto* partial = reinterpret_cast<float4*>(x_shared + (kXShared ? g.m * shape.x_row : 0));
  auto* sums = reinterpret_cast<float*>(partial + 2 * kMaxStages * kWarp);
  auto* full = reinterpret_cast<std::uint64_t*>(sums + kSkinnyRows * kMaxStages);
  [[maybe_unused]] auto* empty = full + kMaxStages;

  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const auto tiles = static_cast<std::int64_t>(shape.tiles);
  const int first = static_cast<int>(tiles * blockIdx.x / gridDim.x);
  const int last = static_cast<int>(tiles * (blockIdx.x + 1) / gridDim.x);
  [[maybe_unused]] const int total = (last - first) * shape.chunks;
#if __CUDA_ARCH__ >= 900
  if (threadIdx.x == 0) {
    for (int s = 0; s < shape.stages; ++s) {
      barrier_init(full + s, 1);
      barrier_init(empty + s, 1);
    }
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __syncthreads();
  if (warp == shape.stages) {
    const std::uint64_t policy = evict_first_policy();
    const auto load = [&](int q) {
      const int slot = q % shape.stages;
      const int column = q % shape.chunks * kChunk;
      const int bytes = static_cast<int>(min(static_cast<std::int64_t>(kChunk), g.k - column)) * 2;
      const bf16* source = lane < kTileRows ? row_of<kOutput>(g, first + q / shape.chunks, lane) : nullptr;
      const int rows = __popc(__ballot_sync(0xffffffffU, source != nullptr));
      if (lane == 0) barrier_expect(full + slot, rows * bytes);
      __syncwarp();
      if (source != nullptr) copy_bulk(ring + slot * kStage + lane * kStageRow, source + column, bytes, full + slot, policy);
    };
    int q = 0;
    for (; q < min(total, shape.stages); ++q) load(q);
    if (g.prefetch) {
      // Whole rows of the tiles that are not in the ring yet.
      for (int tile = first + (q + shape.chunks - 1) / shape.chunks; tile < last; ++tile) {
        const bf16* source = lane < kTileRows ? row_of<kOutput>(g, tile, lane) : nullptr;
        if (source != nullptr) prefetch_bulk(source, static_cast<int>(g.k * 2));
      }
    }
    for (; q < total; ++q) {
      if (lane == 0) barrier_wait(empty + q % shape.stages, (q / shape.stages - 1) & 1);
      __syncwarp();
      load(q);
    }
    release_dependents();
    return;
  }
  wait_for_predecessor();
#else
  if (warp == shape.stages) return;
#endif

  if constexpr (kXShared) take_x(g, shape, x_shared, sums);

  const int group = lane / 4;
  const int quarter = lane % 4;
  const bool token = group < g.m;
  const bf16* x_row = kXShared ? reinterpret_cast<const bf16*>(x_shared + group * shape.x_row) : g.x + group * g.ldx;
  for (int tile = first; tile < last; ++tile) {
    float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    // Chunks of the block are dealt out to the warps in turn, over tile borders.
    const int base = (tile - first) * shape.chunks;
    for (int c = (warp + shape.stages - base % shape.stages) % shape.stages; c < shape.chunks; c += shape.stages) {
      const int column = c * kChunk;
      const int steps = static_cast<int>(min(static_cast<std::int64_t>(kChunk), g.k - column)) / 32;
      const uint4 none{0, 0, 0, 0};
      const bf16* x = x_row + column + quarter * 8;
#if __CUDA_ARCH__ >= 900
      const int q = base + c;
      barrier_wait(full + warp, (q / shape.stages) & 1);
      const unsigned char* low = ring + warp * kStage + group * kStageRow + quarter * 16;
      const unsigned char* high = low + 8 * kStageRow;
#else
      const bf16* low_row = row_of<kOutput>(g, tile, group);
      const bf16* high_row = row_of<kOutput>(g, tile, group + 8);
      const auto* low = reinterpret_cast<const unsigned char*>(low_row == nullptr ? g.weights : low_row + column + quarter * 8);
      const auto* high = reinterpret_cast<const unsigned char*>(high_row == nullptr ? g.weights : high_row + column + quarter * 8);
#endif
      if (steps == kChunk / 32) {
#pragma unroll 8
        for (int s = 0; s < kChunk / 32; ++s) {
          const uint4 b = token ? *reinterpret_cast<const uint4*>(x + s * 32) : none;
          mma_16x8x32(sum, *reinterpret_cast<const uint4*>(low + s * 64), *reinterpret_cast<const uint4*>(high + s * 64), b);
        }
      } else {
        for (int s = 0; s < steps; ++s) {
          const uint4 b = token ? *reinterpret_cast<const uint4*>(x + s * 32) : none;
          mma_16x8x32(sum, *reinterpret_cast<const uint4*>(low + s * 64), *reinterpret_cast<const uint4*>(high + s * 64), b);
        }
      }
#if __CUDA_ARCH__ >= 900
      __syncwarp();
      if (lane == 0) barrier_arrive(empty + warp);
#endif
    }
    // Two areas in turn: a warp that is a tile ahead writes into the other one.
    float4* area = partial + (tile - first) % 2 * (kMaxStages * kWarp);
    area[warp * kWarp + lane] = {sum[0], sum[1], sum[2], sum[3]};
    consumers_meet(shape);
    if (warp == (tile - first) % shape.stages) {
      float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
      for (int w = 0; w < shape.stages; ++w) {
        const float4 p = area[w * kWarp + lane];
        result[0] += p.x;
        result[1] += p.y;
        result[2] += p.z;
        result[3] += p.w;
      }
      finish<kOutput>(g, tile, lane, result);
    }
  }
}

bool x_in_shared(const SkinnyGemm& g) { return g.m * x_row_bytes(g.k) <= kLargestX; }

template <SkinnyOutput kOutput, bool kXShared>
void launch_skinny(const SkinnyGemm& g, const Launch& launch) {
  Shape shape{};
  const std::int64_t rows_per_tile = kOutput == SkinnyOutput::kSwiglu ? 8 : kTileRows;
  shape.tiles = static_cast<int>((g.n + rows_per_tile - 1) / rows_per_tile);
  shape.chunks = static_cast<int>((g.k + kChunk - 1) / kChunk);
  shape.x_row = kXShared ? x_row_bytes(g.k) : 0;
  const int x_bytes = g.m * shape.x_row;
  const int fixed = x_bytes + 2 * kMaxStages * kWarp * static_cast<int>(sizeof(float4)) +
                    kSkinnyRows * kMaxStages * static_cast<int>(sizeof(float)) + 2 * kMaxStages * static_cast<int>(sizeof(std::uint64_t));
  shape.stages = std::clamp((kBlockShared - fixed) / kStage, 3, kMaxStages);
  const int bytes = shape.stages * kStage + fixed;
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(skinny_kernel<kOutput, kXShared>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               kLargestX + 3 * kStage + 16 * 1024);
    return true;
  }();
  (void)raised;
  const int blocks = std::min(shape.tiles, multiprocessors());
  launch_kernel(launch, skinny_kernel<kOutput, kXShared>, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>((shape.stages + 1) * kWarp)), static_cast<std::size_t>(bytes), g, shape);
}

template <SkinnyOutput kOutput>
void launch_output(const SkinnyGemm& g, const Launch& launch) {
  if (x_in_shared(g)) {
    launch_skinny<kOutput, true>(g, launch);
  } else {
    launch_skinny<kOutput, false>(g, launch);
  }
}

}  // namespace

bool skinny_fits(std::int64_t m, std::int64_t k, bool norm) {
  return m >= 1 && m <= kSkinnyRows && k % 32 == 0 && (!norm || m * x_row_bytes(k) <= kLargestX);
}

void skinny_gemm(const SkinnyGemm& gemm, const Launch& launch) {
  switch (gemm.output) {
    case SkinnyOutput::kStore: launch_output<SkinnyOutput::kStore>(gemm, launch); break;
    case SkinnyOutput::kAdd: launch_output<SkinnyOutput::kAdd>(gemm, launch); break;
    case SkinnyOutput::kSwiglu: launch_output<SkinnyOutput::kSwiglu>(gemm, launch); break;
    case SkinnyOutput::kLogits: launch_output<SkinnyOutput::kLogits>(gemm, launch); break;
  }
}

}  // namespace lindos::kernels::cuda
