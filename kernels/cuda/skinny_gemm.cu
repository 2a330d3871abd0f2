// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/skinny_gemm.h"

#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/skinny_parts.cuh"

namespace lindos::kernels::cuda {

namespace {

// An SM has 228 KB of shared memory; a block can have 227. More than half, so that no SM gets two blocks of one kernel
// while another gets none (seen to cost 10 %): the next kernel's block starts where this one's ends.
constexpr int kMostShared = 227 * 1024;
constexpr int kLeastShared = 116 * 1024;
// Stages per warp: as many as fit beside x. Few where attention runs before and should leave room for this kernel.
constexpr int kDeep = 9;
constexpr int kShallow = 6;

struct Shape {
  int tiles;
  int chunks;      // per tile
  int x_row;       // bytes of a row of x in shared memory
};

// Shared memory: rings of the warps | x | partial sums of two tiles | sums of squares.
template <SkinnyOutput kOutput, int kStages>
__global__ void __launch_bounds__(kSkinnyThreads) skinny_kernel(const SkinnyGemm g, const Shape shape) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  unsigned char* ring = shared + warp * kStages * kSkinnyStage;
  unsigned char* x_shared = shared + kSkinnyWarps * kStages * kSkinnyStage;
  auto* partial = reinterpret_cast<float4*>(x_shared + g.m * shape.x_row);
  auto* sums = reinterpret_cast<float*>(partial + 2 * kSkinnyWarps * kWarp);

  const auto tiles = static_cast<std::int64_t>(shape.tiles);
  const int first = static_cast<int>(tiles * blockIdx.x / gridDim.x);
  const int last = static_cast<int>(tiles * (blockIdx.x + 1) / gridDim.x);

  // Chunks of the block, tile after tile, are dealt out to the warps in turn; this is the next one to be fetched.
  int load_tile = first;
  int load_chunk = warp;
  int load_slot = 0;
  const auto settle = [&](int& tile, int& chunk) {
    while (chunk >= shape.chunks) {
      chunk -= shape.chunks;
      ++tile;
    }
  };
  settle(load_tile, load_chunk);
  bool released = false;
  const auto load = [&] {
    if (load_tile < last) {
      unsigned char* stage = ring + load_slot * kSkinnyStage;
      const int piece = lane % 8;
      const int column = load_chunk * kSkinnyChunk + piece * 8;
      const bool inside = column < g.k;
#pragma unroll
      for (int j = 0; j < kSkinnyTile / 4; ++j) {
        const int r = lane / 8 + 4 * j;
        const bf16* row = row_of<kOutput>(g, load_tile, r);
        const bool valid = inside && row != nullptr;
        copy_async_16(shared_address(stage + r * (kSkinnyChunk * 2) + ((piece ^ ((r & 1) << 2)) << 4)),
                      valid ? row + column : g.weights, valid ? 16 : 0);
      }
      load_chunk += kSkinnyWarps;
      settle(load_tile, load_chunk);
    } else if (!released) {
      // All of this warp's loads are on their way: the next kernel may begin its own.
      release_dependents();
      released = true;
    }
    load_slot = load_slot + 1 == kStages ? 0 : load_slot + 1;
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load();
#if __CUDA_ARCH__ >= 900
  if (g.prefetch && warp == 0 && lane < kSkinnyTile) {
    for (int tile = first; tile < last; ++tile) {
      const bf16* row = row_of<kOutput>(g, tile, lane);
      const int begin = tile == first ? min(static_cast<int>(g.k), kSkinnyWarps * (kStages - 1) * kSkinnyChunk) : 0;
      if (row != nullptr && begin < g.k) prefetch_bulk(row + begin, static_cast<int>(g.k - begin) * 2);
    }
  }
#endif
  wait_for_predecessor();
  take_x(g, x_shared, shape.x_row, sums);

  const int group = lane / 4;
  const int quarter = lane % 4;
  const bool token = group < g.m;
  const auto* x_row = reinterpret_cast<const bf16*>(x_shared + group * shape.x_row);
  const int swap = (group & 1) << 2;
  const unsigned char* fragments = ring + group * (kSkinnyChunk * 2);
  int chunk = warp;
  int slot = 0;
  for (int tile = first; tile < last; ++tile) {
    float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    for (; chunk < shape.chunks; chunk += kSkinnyWarps) {
      load();
      uint4 b[2];
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int column = chunk * kSkinnyChunk + s * 32 + quarter * 8;
        b[s] = token && column < g.k ? *reinterpret_cast<const uint4*>(x_row + column) : uint4{0, 0, 0, 0};
      }
      wait_for_copies<kStages - 1>();
      __syncwarp();
      const unsigned char* stage = fragments + slot * kSkinnyStage;
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int place = ((s * 4 + quarter) ^ swap) << 4;
        mma_16x8x32(sum, *reinterpret_cast<const uint4*>(stage + place),
                    *reinterpret_cast<const uint4*>(stage + 8 * (kSkinnyChunk * 2) + place), b[s]);
      }
      slot = slot + 1 == kStages ? 0 : slot + 1;
      __syncwarp();
    }
    chunk -= shape.chunks;
    // Two areas in turn: a warp that is a tile ahead writes into the other one.
    float4* area = partial + (tile - first) % 2 * (kSkinnyWarps * kWarp);
    area[warp * kWarp + lane] = {sum[0], sum[1], sum[2], sum[3]};
    __syncthreads();
    if (warp == (tile - first) % kSkinnyWarps) {
      float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
#pragma unroll
      for (int w = 0; w < kSkinnyWarps; ++w) {
        const float4 p = area[w * kWarp + lane];
        result[0] += p.x;
        result[1] += p.y;
        result[2] += p.z;
        result[3] += p.w;
      }
      finish<kOutput>(g, tile, lane, result);
    }
  }
  wait_for_copies<0>();
}

template <SkinnyOutput kOutput, int kStages>
void launch_stages(const SkinnyGemm& g, const Shape& shape, const Launch& launch) {
  const int bytes = std::max(kLeastShared, kSkinnyWarps * kStages * kSkinnyStage + g.m * shape.x_row + kSums);
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(skinny_kernel<kOutput, kStages>, cudaFuncAttributeMaxDynamicSharedMemorySize, kMostShared);
    return true;
  }();
  (void)raised;
  const int blocks = std::min(shape.tiles, multiprocessors());
  launch_kernel(launch, skinny_kernel<kOutput, kStages>, dim3(static_cast<unsigned>(blocks)), dim3(kSkinnyThreads),
                static_cast<std::size_t>(bytes), g, shape);
}

constexpr bool fits(int stages, std::int64_t x_bytes) { return kSkinnyWarps * stages * kSkinnyStage + x_bytes + kSums <= kMostShared; }

template <SkinnyOutput kOutput>
void launch_output(const SkinnyGemm& g, const Launch& launch) {
  Shape shape{};
  const std::int64_t rows_per_tile = kOutput == SkinnyOutput::kSwiglu ? 8 : kSkinnyTile;
  shape.tiles = static_cast<int>((g.n + rows_per_tile - 1) / rows_per_tile);
  shape.chunks = static_cast<int>((g.k + kSkinnyChunk - 1) / kSkinnyChunk);
  shape.x_row = x_row_bytes(g.k);
  const std::int64_t x_bytes = static_cast<std::int64_t>(g.m) * shape.x_row;
  if (fits(kDeep, x_bytes) && !g.prefetch) {
    launch_stages<kOutput, kDeep>(g, shape, launch);
  } else {
    launch_stages<kOutput, kShallow>(g, shape, launch);
  }
}

}  // namespace

bool skinny_fits(std::int64_t m, std::int64_t k) {
  return m >= 1 && m <= kSkinnyRows && k % 32 == 0 && fits(kShallow, m * x_row_bytes(k));
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
