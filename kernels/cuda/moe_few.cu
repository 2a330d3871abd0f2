// SPDX-License-Identifier: Apache-2.0
// Experts of up to 8 tokens: a race to read the matrices of the hit experts once. As in skinny_gemm.cu each warp streams
// its share of the block's rows through a ring of its own, 64 columns of 16 rows at a time; columns of the products are
// the tokens. Which rows there are follows from the hits, so the rings fill after the predecessor has ended.
#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/shared_rows.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kTileRows = 16;
constexpr int kChunk = 64;                       // columns per stage: a line of 128 bytes per row
constexpr int kLine = kChunk * 2;
constexpr int kStage = kTileRows * kLine;        // bytes of weights
constexpr int kMostHits = kFewTokens * kMostTopK;
constexpr int kSums = 2 * kThreads * static_cast<int>(sizeof(float4));   // partial sums of two tiles
// Stages per warp where a block may have 227 KB of shared memory, and where 163 KB (sm_80).
constexpr int kDeep = 8;
constexpr int kShallow = 5;
// More than half of an SM's, so that no SM gets two blocks while another gets none.
constexpr int kLeastShared = 116 * 1024;

__host__ __device__ constexpr int x_row_bytes(int k) { return (k * 2 + 127) / 128 * 128 + 64; }

// Place of a row's 16-byte piece in a stage: rows r and r + 1 lie in different halves of the banks.
__device__ __forceinline__ int place_of(int row, int piece) { return row * kLine + ((piece ^ ((row & 1) << 2)) << 4); }

// Sum over the warps of their `sum`, in the warp whose turn it is (true). Two areas in turn: a warp that is a tile ahead
// writes into the other one.
__device__ __forceinline__ bool sum_over_warps(float4* partial, int turn, const float (&sum)[4], float (&result)[4]) {
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  float4* area = partial + turn % 2 * kThreads;
  area[warp * kWarp + lane] = {sum[0], sum[1], sum[2], sum[3]};
  __syncthreads();
  if (warp != turn % kWarps) return false;
  add_tiles_of_warps<kWarps>(area, lane, result);
  return true;
}

// Shared memory: rings of the warps | x | partial sums | expert and tokens of each hit.
template <Element kElement, int kStages>
__global__ void __launch_bounds__(kThreads) few_gate_up_kernel(const MoeFew g) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int hidden = g.experts.hidden;
  const int ffn = g.experts.ffn;
  const int x_row = x_row_bytes(hidden);
  unsigned char* ring = shared + warp * kStages * kStage;
  unsigned char* x_shared = shared + kWarps * kStages * kStage;
  auto* partial = reinterpret_cast<float4*>(x_shared + g.gate.tokens * x_row);
  auto* experts = reinterpret_cast<int*>(partial + 2 * kThreads);
  auto* tokens_of = reinterpret_cast<unsigned*>(experts + kMostHits);

  wait_for_predecessor();
  fetch_rows<kThreads>({x_shared, x_row, g.gate.tokens, hidden / 8}, g.x, hidden);
  const int hits = __ldcg(&g.hits->count);
  for (int i = threadIdx.x; i < hits; i += kThreads) {
    experts[i] = __ldcg(&g.hits->of[i].expert);
    tokens_of[i] = __ldcg(&g.hits->of[i].tokens);
  }
  __syncthreads();

  const int tiles_per_hit = ffn / 8;             // 8 rows of the gate and the same 8 of `up`
  const int chunks = (hidden + kChunk - 1) / kChunk;
  const std::int64_t tiles = static_cast<std::int64_t>(hits) * tiles_per_hit;
  const int first = static_cast<int>(tiles * blockIdx.x / gridDim.x);
  const int last = static_cast<int>(tiles * (blockIdx.x + 1) / gridDim.x);

  // Chunks of the block, tile after tile, are dealt out to the warps in turn; this is the next one to be fetched.
  int load_tile = first;
  int load_chunk = warp;
  int load_slot = 0;
  bool released = false;
  const int piece = lane % 8;
  int load_hit = first / tiles_per_hit;
  int load_row = (first - load_hit * tiles_per_hit) * 8;
  const Number* load_from = nullptr;   // this lane's piece of the tile's first chunk, in the first of its rows
  const std::int64_t four_rows = static_cast<std::int64_t>(4) * hidden;
  const std::int64_t to_up = static_cast<std::int64_t>(ffn) * hidden;
  const auto open = [&] {
    if (load_tile >= last) return;
    load_from = g.experts.gate_up + static_cast<std::int64_t>(experts[load_hit]) * 2 * to_up +
                static_cast<std::int64_t>(load_row + lane / 8) * hidden + piece * 8;
  };
  open();
  const auto load = [&] {
    while (load_chunk >= chunks) {
      load_chunk -= chunks;
      ++load_tile;
      load_row += 8;
      if (load_row == ffn) {
        load_row = 0;
        ++load_hit;
      }
      open();
    }
    if (load_tile < last) {
      unsigned char* stage = ring + load_slot * kStage;
      const int bytes = load_chunk * kChunk + piece * 8 < hidden ? 16 : 0;
      const Number* source = bytes > 0 ? load_from + load_chunk * kChunk : g.experts.gate_up;
#pragma unroll
      for (int j = 0; j < kTileRows / 4; ++j) {
        copy_async_16(shared_address(stage + place_of(lane / 8 + 4 * j, piece)),
                      bytes > 0 ? source + (j % 2 == 0 ? 0 : four_rows) + (j < 2 ? 0 : to_up) : source, bytes);
      }
      load_chunk += kWarps;
    } else if (!released) {
      // All of this warp's loads are on their way.
      release_dependents();
      released = true;
    }
    load_slot = load_slot + 1 == kStages ? 0 : load_slot + 1;
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load();
  // x: all but the rings' copies.
  wait_for_copies<kStages - 1>();
  __syncthreads();

  const int group = lane / 4;
  const int quarter = lane % 4;
  const bool token = group < g.gate.tokens;
  const auto* x = reinterpret_cast<const Number*>(x_shared + group * x_row);
  int chunk = warp;
  int slot = 0;
  for (int tile = first; tile < last; ++tile) {
    float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    for (; chunk < chunks; chunk += kWarps) {
      load();
      uint4 b[2];
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int column = chunk * kChunk + s * 32 + quarter * 8;
        b[s] = token && column < hidden ? *reinterpret_cast<const uint4*>(x + column) : uint4{0, 0, 0, 0};
      }
      wait_for_copies<kStages - 1>();
      __syncwarp();
      const unsigned char* stage = ring + slot * kStage;
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        mma_16x8x32<kElement>(sum, *reinterpret_cast<const uint4*>(stage + place_of(group, s * 4 + quarter)),
                    *reinterpret_cast<const uint4*>(stage + place_of(group + 8, s * 4 + quarter)), b[s]);
      }
      slot = slot + 1 == kStages ? 0 : slot + 1;
      __syncwarp();
    }
    chunk -= chunks;
    float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    if (!sum_over_warps(partial, tile - first, sum, result)) continue;
    const int hit = tile / tiles_per_hit;
    const int row = (tile - hit * tiles_per_hit) * 8 + group;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int t = quarter * 2 + j;
      if ((tokens_of[hit] >> static_cast<unsigned>(t) & 1U) == 0) continue;
      const float gate = result[j];
      const float up = result[2 + j];
      g.activated[static_cast<std::int64_t>(hit * kFewTokens + t) * ffn + row] = narrow<kElement>(silu(gate) * up);
    }
  }
  wait_for_copies<0>();
}

// A tile is 16 rows of the output, summed over all hits in turn. Beside the rows of the matrix a stage holds the same 64
// columns of the tokens' activations, zeros where a token did not choose the hit.
// Shared memory: rings of the warps | partial sums | hits.
constexpr int kDownStage = kStage + kFewTokens * kLine;

template <Element kElement, int kStages>
__global__ void __launch_bounds__(kThreads) few_down_kernel(const MoeFew g) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int hidden = g.experts.hidden;
  const int ffn = g.experts.ffn;
  unsigned char* ring = shared + warp * kStages * kDownStage;
  auto* partial = reinterpret_cast<float4*>(shared + kWarps * kStages * kDownStage);
  auto* hit_of = reinterpret_cast<MoeHit*>(partial + 2 * kThreads);

  wait_for_predecessor();
  const int hits = __ldcg(&g.hits->count);
  {
    constexpr int kWords = sizeof(MoeHit) / sizeof(int);
    const auto* source = reinterpret_cast<const int*>(g.hits->of);
    for (int i = threadIdx.x; i < hits * kWords; i += kThreads) reinterpret_cast<int*>(hit_of)[i] = __ldcg(source + i);
  }
  __syncthreads();

  const int chunks = (ffn + kChunk - 1) / kChunk;
  const std::int64_t tiles = (hidden + kTileRows - 1) / kTileRows;
  const int first = static_cast<int>(tiles * blockIdx.x / gridDim.x);
  const int last = static_cast<int>(tiles * (blockIdx.x + 1) / gridDim.x);

  // Chunks of a tile: those of the first hit, of the second, …; dealt out to the warps in turn.
  int load_tile = hits > 0 ? first : last;
  int load_hit = 0;
  int load_chunk = warp;
  int load_slot = 0;
  bool released = false;
  const int piece = lane % 8;
  const Number* load_from = nullptr;   // this lane's piece of the hit's first chunk, in the first of its rows
  const auto open = [&] {
    if (load_tile >= last) return;
    load_from = g.experts.down + (static_cast<std::int64_t>(hit_of[load_hit].expert) * hidden + load_tile * kTileRows + lane / 8) * ffn +
                piece * 8;
  };
  open();
  const auto load = [&] {
    while (load_tile < last && load_chunk >= chunks) {
      load_chunk -= chunks;
      if (++load_hit == hits) {
        load_hit = 0;
        ++load_tile;
      }
      open();
    }
    if (load_tile < last) {
      unsigned char* stage = ring + load_slot * kDownStage;
      const int column = load_chunk * kChunk + piece * 8;
#pragma unroll
      for (int j = 0; j < kTileRows / 4; ++j) {
        const int r = lane / 8 + 4 * j;
        const bool valid = column < ffn && load_tile * kTileRows + r < hidden;
        copy_async_16(shared_address(stage + place_of(r, piece)),
                      valid ? load_from + load_chunk * kChunk + static_cast<std::int64_t>(4 * j) * ffn : g.experts.down, valid ? 16 : 0);
      }
      const Number* activated = g.activated + static_cast<std::int64_t>(load_hit) * kFewTokens * ffn + column;
#pragma unroll
      for (int j = 0; j < kFewTokens / 4; ++j) {
        const int t = lane / 8 + 4 * j;
        const bool valid = column < ffn && (hit_of[load_hit].tokens >> static_cast<unsigned>(t) & 1U) != 0;
        copy_async_16(shared_address(stage + kStage + place_of(t, piece)), valid ? activated + t * ffn : g.experts.down, valid ? 16 : 0);
      }
      load_chunk += kWarps;
    } else if (!released) {
      release_dependents();
      released = true;
    }
    load_slot = load_slot + 1 == kStages ? 0 : load_slot + 1;
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < kStages - 1; ++i) load();

  const int group = lane / 4;
  const int quarter = lane % 4;
  int chunk = warp;
  int slot = 0;
  for (int tile = first; tile < last; ++tile) {
    float total[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    for (int hit = 0; hit < hits; ++hit) {
      float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
      for (; chunk < chunks; chunk += kWarps) {
        load();
        wait_for_copies<kStages - 1>();
        __syncwarp();
        const unsigned char* stage = ring + slot * kDownStage;
#pragma unroll
        for (int s = 0; s < 2; ++s) {
          const int of_group = place_of(group, s * 4 + quarter);
          mma_16x8x32<kElement>(sum, *reinterpret_cast<const uint4*>(stage + of_group),
                      *reinterpret_cast<const uint4*>(stage + place_of(group + 8, s * 4 + quarter)),
                      *reinterpret_cast<const uint4*>(stage + kStage + of_group));
        }
        slot = slot + 1 == kStages ? 0 : slot + 1;
        __syncwarp();
      }
      chunk -= chunks;
      const float2 weight = *reinterpret_cast<const float2*>(&hit_of[hit].weight[quarter * 2]);
      total[0] += weight.x * sum[0];
      total[1] += weight.y * sum[1];
      total[2] += weight.x * sum[2];
      total[3] += weight.y * sum[3];
    }
    float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    if (!sum_over_warps(partial, tile - first, total, result)) continue;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
      const int t = quarter * 2 + j % 2;
      const int row = tile * kTileRows + group + j / 2 * 8;
      if (t >= g.gate.tokens || row >= hidden) continue;
      Number* y = g.y + static_cast<std::int64_t>(t) * hidden + row;
      *y = narrow<kElement>(g.accumulate ? widen<kElement>(*y) + result[j] : result[j]);
    }
  }
  wait_for_copies<0>();
}

constexpr int gate_up_bytes(int stages, int tokens, int hidden) {
  return kWarps * stages * kStage + tokens * x_row_bytes(hidden) + kSums + kMostHits * 2 * static_cast<int>(sizeof(int));
}
constexpr int down_bytes(int stages) {
  return kWarps * stages * kDownStage + kSums + kMostHits * static_cast<int>(sizeof(MoeHit));
}

template <auto kKernel>
void launch_few(const Launch& launch, std::int64_t tiles, int bytes, const MoeFew& few) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(kKernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared_memory());
    return true;
  }();
  (void)raised;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(tiles, multiprocessors()));
  launch_kernel(launch, kKernel, dim3(blocks), dim3(kThreads), static_cast<std::size_t>(std::max(bytes, kLeastShared)), few);
}

}  // namespace

bool moe_few_fits(int tokens, int hidden) {
  const bool rows = tokens * hidden * static_cast<int>(sizeof(Number)) <= shared_memory() - 16 * 1024;
  return tokens >= 1 && tokens <= kFewTokens && hidden % 8 == 0 && rows && gate_up_bytes(kShallow, tokens, hidden) <= shared_memory() &&
         down_bytes(kShallow) <= shared_memory();
}

void moe_few_gate_up(const MoeFew& few, const Launch& launch) {
  if (few.gate.held == 0 || few.experts.ffn == 0) return;
  const std::int64_t tiles = static_cast<std::int64_t>(std::min(kMostHits, few.gate.held)) * (few.experts.ffn / 8);
  with_element(few.element, [&](auto element) {
    constexpr Element kElement = decltype(element)::value;
    if (const int deep = gate_up_bytes(kDeep, few.gate.tokens, few.experts.hidden); deep <= shared_memory()) {
      launch_few<few_gate_up_kernel<kElement, kDeep>>(launch, tiles, deep, few);
    } else {
      launch_few<few_gate_up_kernel<kElement, kShallow>>(launch, tiles, gate_up_bytes(kShallow, few.gate.tokens, few.experts.hidden), few);
    }
  });
}

void moe_few_down(const MoeFew& few, const Launch& launch) {
  const std::int64_t tiles = (few.experts.hidden + kTileRows - 1) / kTileRows;
  with_element(few.element, [&](auto element) {
    constexpr Element kElement = decltype(element)::value;
    if (down_bytes(kDeep) <= shared_memory()) {
      launch_few<few_down_kernel<kElement, kDeep>>(launch, tiles, down_bytes(kDeep), few);
    } else {
      launch_few<few_down_kernel<kElement, kShallow>>(launch, tiles, down_bytes(kShallow), few);
    }
  });
}

}  // namespace lindos::kernels::cuda
