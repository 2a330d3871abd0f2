// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/skinny_gemm.h"

#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/e4m3.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/shared_rows.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kTileRows = 16;                 // rows of W per tile
constexpr int kLine = 128;                    // bytes of a row of W per stage
constexpr int kStage = kTileRows * kLine;     // bytes
template <bool kFp8>
constexpr int kBytes = kFp8 ? 1 : 2;          // of a weight
template <bool kFp8>
constexpr int kChunk = kLine / kBytes<kFp8>;  // columns of W per stage
// More than half of an SM's 228 KB of shared memory (Hopper), so that no SM gets two blocks of one kernel while another gets
// none (seen to cost 10 %): the next kernel's block starts where this one's ends.
constexpr int kLeastShared = 116 * 1024;
// Tiles between two meetings of the warps: an FP8 tile has half the bytes, and waiting for each other would cost half as much
// again.
template <bool kFp8>
constexpr int kTogether = kFp8 ? 2 : 1;
// Partial sums of the tiles of two meetings, sums of squares.
constexpr int sums_bytes(bool fp8) {
  return 2 * (fp8 ? kTogether<true> : kTogether<false>) * kThreads * static_cast<int>(sizeof(float4)) +
         kSkinnyRows * kWarps * static_cast<int>(sizeof(float));
}
// Stages per warp: as many as fit beside x. Few where attention runs before and should leave room for this kernel.
constexpr int kDeep = 9;
constexpr int kShallow = 6;

struct Shape {
  int tiles;
  int chunks;      // per tile
  int x_row;       // bytes of a row of x in shared memory
};

// 64 bytes beyond a multiple of 128: rows g and g + 1 then lie in different halves of the 32 banks. With FP8 weights a lane
// reads 32 bytes of x at a time: 16 bytes beyond keep its halves and the next row's apart.
__host__ __device__ constexpr int x_row_bytes(std::int64_t k, bool fp8) {
  return static_cast<int>((k * 2 + 127) / 128 * 128 + (fp8 ? 16 : 64));
}

// Row `r` of tile `tile`, nullptr beyond the matrix; kSwiglu interleaves 8 rows of the gate with the same 8 of `up`.
template <SkinnyOutput kOutput, bool kFp8>
__device__ __forceinline__ const unsigned char* row_of(const SkinnyGemm& g, int tile, int r) {
  const std::int64_t bytes = g.k * kBytes<kFp8>;
  if constexpr (kOutput == SkinnyOutput::kSwiglu) {
    const std::int64_t row = static_cast<std::int64_t>(tile) * 8 + r % 8;
    return row < g.n ? static_cast<const unsigned char*>(r < 8 ? g.weights : g.up) + row * bytes : nullptr;
  } else {
    const std::int64_t row = static_cast<std::int64_t>(tile) * kTileRows + r;
    return row < g.n ? static_cast<const unsigned char*>(g.weights) + row * bytes : nullptr;
  }
}

// x into shared memory, normalised if asked; for FP8 weights times kXShift and in the order of widen_e4m3. `sums`: [kWarps].
template <Element kElement, bool kFp8>
__device__ __forceinline__ void take_x(const SkinnyGemm& g, const Shape& shape, unsigned char* x_shared, float* sums) {
  const SharedRows x{x_shared, shape.x_row, g.m, static_cast<int>(g.k / 8)};
  fetch_rows<kThreads>(x, g.x, g.ldx);
  wait_for_copies<0>();
  __syncthreads();
  if constexpr (kFp8) {
    normalise_rows<kElement, kWarps>(x, g.norm, g.eps, kXShift, sums, [](const uint4& y) { return interleaved(y); });
  } else if (g.norm != nullptr) {
    normalise_rows<kElement, kWarps>(x, g.norm, g.eps, 1.0F, sums, [](const uint4& y) { return y; });
  }
}

template <SkinnyOutput kOutput, Element kElement, bool kFp8>
__device__ __forceinline__ void finish(const SkinnyGemm& g, int tile, int lane, const float (&sum)[4]) {
  const int group = lane / 4;
  const int token0 = lane % 4 * 2;
  const auto store = [&](int token, std::int64_t row, float value) {
    if (token >= g.m || row >= g.n) return;
    if constexpr (kFp8) value *= g.scales[row] * kSumShift;
    const std::int64_t at = token * g.ldy + row;
    if (g.bias != nullptr) value += widen<kElement>(g.bias[row]);
    if constexpr (kOutput == SkinnyOutput::kLogits) {
      static_cast<float*>(g.y)[at] = value;
    } else {
      auto* y = static_cast<Number*>(g.y);
      if constexpr (kOutput == SkinnyOutput::kAdd) value += widen<kElement>(y[at]);
      y[at] = narrow<kElement>(value);
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
      if constexpr (kFp8) {
        gate *= g.scales[row] * kSumShift;
        up *= g.up_scales[row] * kSumShift;
      }
      if (g.bias != nullptr) gate += widen<kElement>(g.bias[row]);
      if (g.up_bias != nullptr) up += widen<kElement>(g.up_bias[row]);
      static_cast<Number*>(g.y)[(token0 + j) * g.ldy + row] = narrow<kElement>(silu(gate) * up);
    }
  } else {
    const std::int64_t row = static_cast<std::int64_t>(tile) * kTileRows + group;
    store(token0, row, sum[0]);
    store(token0 + 1, row, sum[1]);
    store(token0, row + 8, sum[2]);
    store(token0 + 1, row + 8, sum[3]);
  }
}

// Shared memory: rings of the warps | x | partial sums | sums of squares. One block per multiprocessor by its shared memory, so registers
// may be spent: under the default bound SwiGLU spills.
template <SkinnyOutput kOutput, int kStages, Element kElement, bool kFp8>
__global__ void __launch_bounds__(kThreads, 1) skinny_kernel(const SkinnyGemm g, const Shape shape) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  unsigned char* ring = shared + warp * kStages * kStage;
  unsigned char* x_shared = shared + kWarps * kStages * kStage;
  auto* partial = reinterpret_cast<float4*>(x_shared + g.m * shape.x_row);
  constexpr int kArea = kWarps * kWarp;   // of one tile
  auto* sums = reinterpret_cast<float*>(partial + 2 * kTogether<kFp8> * kArea);

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
  // The rows of a tile that this lane copies from, its 16 bytes of a line each. They change with the tile only.
  constexpr int kCopies = kTileRows / 4;
  const int piece = lane % 8;
  const int row_bytes = static_cast<int>(g.k) * kBytes<kFp8>;
  const unsigned char* source[kCopies];
  int source_bytes[kCopies];
  std::uint32_t destination[kCopies];
  const auto open_tile = [&] {
#pragma unroll
    for (int j = 0; j < kCopies; ++j) {
      const unsigned char* row = load_tile < last ? row_of<kOutput, kFp8>(g, load_tile, lane / 8 + 4 * j) : nullptr;
      source[j] = row != nullptr ? row + piece * 16 : static_cast<const unsigned char*>(g.weights);
      source_bytes[j] = row != nullptr ? 16 : 0;
    }
  };
#pragma unroll
  for (int j = 0; j < kCopies; ++j) {
    const int r = lane / 8 + 4 * j;
    destination[j] = shared_address(ring + r * kLine + ((piece ^ ((r & 1) << 2)) << 4));
  }
  open_tile();
  const auto load = [&] {
    if (load_tile < last) {
      const int at = load_chunk * kLine;
      const bool inside = at + piece * 16 < row_bytes;
#pragma unroll
      for (int j = 0; j < kCopies; ++j) {
        copy_async_16(destination[j] + load_slot * kStage, source[j] + (inside ? at : 0), inside ? source_bytes[j] : 0);
      }
      load_chunk += kWarps;
      if (load_chunk >= shape.chunks) {
        settle(load_tile, load_chunk);
        open_tile();
      }
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
  if (g.prefetch && warp == 0 && lane < kTileRows) {
    for (int tile = first; tile < last; ++tile) {
      const unsigned char* row = row_of<kOutput, kFp8>(g, tile, lane);
      const int begin = tile == first ? min(row_bytes, kWarps * (kStages - 1) * kLine) : 0;
      if (row != nullptr && begin < row_bytes) prefetch_bulk(row + begin, row_bytes - begin);
    }
  }
#endif
  // The norm comes into L2 while this block waits: from memory it would add a microsecond to the way from x to the first sum.
  if (g.norm != nullptr) {
    constexpr int kLineOfNorm = kLine / static_cast<int>(sizeof(Number));
    for (int i = threadIdx.x * kLineOfNorm; i < g.k; i += kThreads * kLineOfNorm) {
      asm volatile("prefetch.global.L2 [%0];" ::"l"(g.norm + i));
    }
  }
  wait_for_predecessor();
  take_x<kElement, kFp8>(g, shape, x_shared, sums);

  const int group = lane / 4;
  const int quarter = lane % 4;
  const bool token = group < g.m;
  const auto* x_row = reinterpret_cast<const Number*>(x_shared + group * shape.x_row);
  const int swap = (group & 1) << 2;
  const unsigned char* fragments = ring + group * kLine;
  int chunk = warp;
  int slot = 0;
  for (int tile = first; tile < last; ++tile) {
    // Two sums in turn: a product waits for the one before it on the same sum.
    float sums_of_half[2][4] = {};
    for (; chunk < shape.chunks; chunk += kWarps) {
      load();
      // Of x: 16 bytes for each 16 (bf16) or 8 (FP8) bytes of W.
      constexpr int kPieces = 2 / kBytes<kFp8>;
      uint4 b[2 * kPieces];
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int column = chunk * kChunk<kFp8> + (s * 4 + quarter) * (16 / kBytes<kFp8>);
#pragma unroll
        for (int p = 0; p < kPieces; ++p) {
          b[s * kPieces + p] =
              token && column < g.k ? *reinterpret_cast<const uint4*>(x_row + column + p * 8) : uint4{0, 0, 0, 0};
        }
      }
      wait_for_copies<kStages - 1>();
      __syncwarp();
      const unsigned char* stage = fragments + slot * kStage;
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int place = ((s * 4 + quarter) ^ swap) << 4;
        const uint4 low = *reinterpret_cast<const uint4*>(stage + place);
        const uint4 high = *reinterpret_cast<const uint4*>(stage + 8 * kLine + place);
        if constexpr (kFp8) {
          mma_widened(sums_of_half[s], low, high, b[2 * s], b[2 * s + 1]);
        } else {
          mma_16x8x32<kElement>(sums_of_half[s], low, high, b[s]);
        }
      }
      slot = slot + 1 == kStages ? 0 : slot + 1;
      __syncwarp();
    }
    chunk -= shape.chunks;
    // Areas of two meetings in turn: a warp that is ahead writes into the other ones.
    const int done = tile - first + 1;
    float4* area = partial + (done - 1) % (2 * kTogether<kFp8>) * kArea;
    const auto both = [&](int i) { return sums_of_half[0][i] + sums_of_half[1][i]; };
    area[warp * kWarp + lane] = {both(0), both(1), both(2), both(3)};
    if (done % kTogether<kFp8> != 0 && tile + 1 < last) continue;
    __syncthreads();
    // Each tile since the last meeting by another warp.
    const int since = (done - 1) % kTogether<kFp8> + 1;
    const int own = (warp - (done - since)) & (kWarps - 1);
    if (own < since) {
      const int mine = done - since + own;
      const float4* of_warps = partial + mine % (2 * kTogether<kFp8>) * kArea;
      float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
      add_tiles_of_warps<kWarps>(of_warps, lane, result);
      finish<kOutput, kElement, kFp8>(g, first + mine, lane, result);
    }
  }
  wait_for_copies<0>();
}

template <SkinnyOutput kOutput, int kStages, Element kElement, bool kFp8>
void launch_stages(const SkinnyGemm& g, const Shape& shape, const Launch& launch) {
  const int bytes = std::max(kLeastShared, kWarps * kStages * kStage + g.m * shape.x_row + sums_bytes(kFp8));
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(skinny_kernel<kOutput, kStages, kElement, kFp8>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               shared_memory());
    return true;
  }();
  (void)raised;
  const int blocks = std::min(shape.tiles, multiprocessors());
  launch_kernel(launch, skinny_kernel<kOutput, kStages, kElement, kFp8>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads),
                static_cast<std::size_t>(bytes), g, shape);
}

bool fits(int stages, std::int64_t x_bytes, bool fp8) {
  return kWarps * stages * kStage + x_bytes + sums_bytes(fp8) <= shared_memory();
}

template <SkinnyOutput kOutput, Element kElement, bool kFp8>
void launch_typed(const SkinnyGemm& g, const Launch& launch) {
  Shape shape{};
  const std::int64_t rows_per_tile = kOutput == SkinnyOutput::kSwiglu ? 8 : kTileRows;
  shape.tiles = static_cast<int>((g.n + rows_per_tile - 1) / rows_per_tile);
  shape.chunks = static_cast<int>((g.k + kChunk<kFp8> - 1) / kChunk<kFp8>);
  shape.x_row = x_row_bytes(g.k, kFp8);
  const std::int64_t x_bytes = static_cast<std::int64_t>(g.m) * shape.x_row;
  if (fits(kDeep, x_bytes, kFp8) && !g.prefetch) {
    launch_stages<kOutput, kDeep, kElement, kFp8>(g, shape, launch);
  } else {
    launch_stages<kOutput, kShallow, kElement, kFp8>(g, shape, launch);
  }
}

template <SkinnyOutput kOutput>
void launch_output(const SkinnyGemm& g, const Launch& launch) {
  if (g.scales != nullptr) {
    launch_typed<kOutput, Element::kBf16, true>(g, launch);
  } else {
    with_element(g.element, [&](auto element) { launch_typed<kOutput, decltype(element)::value, false>(g, launch); });
  }
}

}  // namespace

bool skinny_fits(std::int64_t m, std::int64_t k) {
  // One answer for both formats: FP8 asks for more.
  return m >= 1 && m <= kSkinnyRows && k % 32 == 0 && fits(kShallow, m * x_row_bytes(k, false), true);
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
