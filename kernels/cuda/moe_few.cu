// SPDX-License-Identifier: Apache-2.0
// Experts of up to 8 tokens: a race to read the matrices of the hit experts once. As in skinny_gemm.cu each warp streams
// its share of the block's rows through a ring of its own, 128 bytes of 16 rows at a time; columns of the products are
// the tokens. Which rows there are follows from the hits, so the rings fill after the predecessor has ended.
#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/e4m3.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/shared_rows.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarp;
constexpr int kTileRows = 16;
constexpr int kLine = 128;                       // bytes of a row per stage
template <bool kFp8>
constexpr int kPieceColumns = kFp8 ? 16 : 8;     // columns in 16 bytes
template <bool kFp8>
constexpr int kChunk = 8 * kPieceColumns<kFp8>;  // columns per stage
constexpr int kStage = kTileRows * kLine;        // bytes of weights
constexpr int kMostHits = kFewTokens * kMostTopK;
constexpr int kSums = 2 * kThreads * static_cast<int>(sizeof(float4));   // partial sums of two tiles
// Stages per warp where a block may have 227 KB of shared memory, and where 163 KB (sm_80).
constexpr int kDeep = 8;
constexpr int kShallow = 5;
// More than half of an SM's, so that no SM gets two blocks while another gets none.
constexpr int kLeastShared = 116 * 1024;

// FP8's stages of the second kernel are larger.
template <bool kFp8>
constexpr int kDeepDown = kFp8 ? 6 : kDeep;

// As in skinny_gemm.cu: rows, or halves of what a lane reads at once, lie in different banks.
__host__ __device__ constexpr int x_row_bytes(int k, bool fp8) { return (k * 2 + 127) / 128 * 128 + (fp8 ? 16 : 64); }

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

// Shared memory: rings of the warps | x | partial sums | expert and tokens of each hit | FP8: one number per warp.
template <Element kElement, bool kFp8, int kStages>
__global__ void __launch_bounds__(kThreads) few_gate_up_kernel(const MoeFew g) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int hidden = g.experts.hidden;
  const int ffn = g.experts.ffn;
  const int x_row = x_row_bytes(hidden, kFp8);
  unsigned char* ring = shared + warp * kStages * kStage;
  unsigned char* x_shared = shared + kWarps * kStages * kStage;
  auto* partial = reinterpret_cast<float4*>(x_shared + g.gate.tokens * x_row);
  auto* experts = reinterpret_cast<int*>(partial + 2 * kThreads);
  auto* tokens_of = reinterpret_cast<unsigned*>(experts + kMostHits);

  wait_for_predecessor();
  const SharedRows rows{x_shared, x_row, g.gate.tokens, hidden / 8};
  fetch_rows<kThreads>(rows, g.x, hidden);
  const int hits = __ldcg(&g.hits->count);
  for (int i = threadIdx.x; i < hits; i += kThreads) {
    experts[i] = __ldcg(&g.hits->of[i].expert);
    tokens_of[i] = __ldcg(&g.hits->of[i].tokens);
  }
  __syncthreads();

  const int tiles_per_hit = ffn / 8;             // 8 rows of the gate and the same 8 of `up`
  const int chunks = (hidden + kChunk<kFp8> - 1) / kChunk<kFp8>;
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
  const auto* matrices = static_cast<const unsigned char*>(g.experts.gate_up);
  const unsigned char* load_from = nullptr;   // this lane's piece of the tile's first chunk, in the first of its rows
  const std::int64_t row_bytes = static_cast<std::int64_t>(hidden) * (kFp8 ? 1 : 2);
  const std::int64_t four_rows = 4 * row_bytes;
  const std::int64_t to_up = ffn * row_bytes;
  const auto open = [&] {
    if (load_tile >= last) return;
    load_from = matrices + experts[load_hit] * 2 * to_up + (load_row + lane / 8) * row_bytes + piece * 16;
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
      const int bytes = load_chunk * kLine + piece * 16 < row_bytes ? 16 : 0;
      const unsigned char* source = bytes > 0 ? load_from + load_chunk * kLine : matrices;
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
  if constexpr (kFp8) {
    auto* sums = reinterpret_cast<float*>(tokens_of + kMostHits);
    normalise_rows<kElement, kWarps>(rows, nullptr, 0.0F, kXShift, sums, [](const uint4& y) { return interleaved(y); });
  }

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
      // Of x: 16 bytes for each 16 (16-bit) or 8 (FP8) bytes of the matrix.
      constexpr int kPieces = kPieceColumns<kFp8> / 8;
      uint4 b[2 * kPieces];
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const int column = chunk * kChunk<kFp8> + (s * 4 + quarter) * kPieceColumns<kFp8>;
#pragma unroll
        for (int p = 0; p < kPieces; ++p) {
          b[s * kPieces + p] = token && column < hidden ? *reinterpret_cast<const uint4*>(x + column + p * 8) : uint4{0, 0, 0, 0};
        }
      }
      wait_for_copies<kStages - 1>();
      __syncwarp();
      const unsigned char* stage = ring + slot * kStage;
#pragma unroll
      for (int s = 0; s < 2; ++s) {
        const uint4 low = *reinterpret_cast<const uint4*>(stage + place_of(group, s * 4 + quarter));
        const uint4 high = *reinterpret_cast<const uint4*>(stage + place_of(group + 8, s * 4 + quarter));
        if constexpr (kFp8) {
          mma_widened(sum, low, high, b[2 * s], b[2 * s + 1]);
        } else {
          mma_16x8x32<kElement>(sum, low, high, b[s]);
        }
      }
      slot = slot + 1 == kStages ? 0 : slot + 1;
      __syncwarp();
    }
    chunk -= chunks;
    float result[4] = {0.0F, 0.0F, 0.0F, 0.0F};
    if (!sum_over_warps(partial, tile - first, sum, result)) continue;
    const int hit = tile / tiles_per_hit;
    const int row = (tile - hit * tiles_per_hit) * 8 + group;
    float gate_scale = 1.0F;
    float up_scale = 1.0F;
    if constexpr (kFp8) {
      const float* scales = g.experts.gate_up_scales + static_cast<std::int64_t>(experts[hit]) * 2 * ffn + row;
      gate_scale = scales[0] * kSumShift;
      up_scale = scales[ffn] * kSumShift;
    }
#pragma unroll
    for (int j = 0; j < 2; ++j) {
      const int t = quarter * 2 + j;
      if ((tokens_of[hit] >> static_cast<unsigned>(t) & 1U) == 0) continue;
      const float activated = silu(result[j] * gate_scale) * (result[2 + j] * up_scale);
      // FP8: shifted and in the order in which the next kernel's products take it.
      const int place = kFp8 ? interleaved_place(row) : row;
      g.activated[static_cast<std::int64_t>(hit * kFewTokens + t) * ffn + place] = narrow<kElement>(kFp8 ? activated * kXShift : activated);
    }
  }
  wait_for_copies<0>();
}

// A tile is 16 rows of the output, summed over all hits in turn. Beside the rows of the matrix a stage holds the same
// columns of the tokens' activations (with FP8 two lines of them), zeros where a token did not choose the hit.
// Shared memory: rings of the warps | partial sums | hits.
template <bool kFp8>
constexpr int kDownStage = kStage + kFewTokens * kLine * (kFp8 ? 2 : 1);

// Place of a 16-byte piece of a token's activations: the two lines of a token follow each other. A lane reads two neighbouring
// pieces of a line, one after the other, beside those of the next token, which change places.
__device__ __forceinline__ int activated_place(int token, int line, int piece) {
  return (token * 2 + line) * kLine + ((piece ^ (token & 1)) << 4);
}

template <Element kElement, bool kFp8, int kStages>
__global__ void __launch_bounds__(kThreads) few_down_kernel(const MoeFew g) {
  extern __shared__ __align__(128) unsigned char shared[];
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;
  const int hidden = g.experts.hidden;
  const int ffn = g.experts.ffn;
  unsigned char* ring = shared + warp * kStages * kDownStage<kFp8>;
  auto* partial = reinterpret_cast<float4*>(shared + kWarps * kStages * kDownStage<kFp8>);
  auto* hit_of = reinterpret_cast<MoeHit*>(partial + 2 * kThreads);

  wait_for_predecessor();
  const int hits = __ldcg(&g.hits->count);
  {
    constexpr int kWords = sizeof(MoeHit) / sizeof(int);
    const auto* source = reinterpret_cast<const int*>(g.hits->of);
    for (int i = threadIdx.x; i < hits * kWords; i += kThreads) reinterpret_cast<int*>(hit_of)[i] = __ldcg(source + i);
  }
  __syncthreads();

  const int chunks = (ffn + kChunk<kFp8> - 1) / kChunk<kFp8>;
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
  const auto* matrices = static_cast<const unsigned char*>(g.experts.down);
  const std::int64_t row_bytes = static_cast<std::int64_t>(ffn) * (kFp8 ? 1 : 2);
  const unsigned char* load_from = nullptr;   // this lane's piece of the hit's first chunk, in the first of its rows
  const auto open = [&] {
    if (load_tile >= last) return;
    load_from = matrices + (static_cast<std::int64_t>(hit_of[load_hit].expert) * hidden + load_tile * kTileRows + lane / 8) * row_bytes +
                piece * 16;
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
      unsigned char* stage = ring + load_slot * kDownStage<kFp8>;
      const bool inside = load_chunk * kLine + piece * 16 < row_bytes;
#pragma unroll
      for (int j = 0; j < kTileRows / 4; ++j) {
        const int r = lane / 8 + 4 * j;
        const bool valid = inside && load_tile * kTileRows + r < hidden;
        copy_async_16(shared_address(stage + place_of(r, piece)), valid ? load_from + load_chunk * kLine + 4 * j * row_bytes : matrices,
                      valid ? 16 : 0);
      }
      const Number* activated = g.activated + static_cast<std::int64_t>(load_hit) * kFewTokens * ffn;
      const unsigned tokens = hit_of[load_hit].tokens;
      constexpr int kLines = kFp8 ? 2 : 1;
#pragma unroll
      for (int j = 0; j < kLines * kFewTokens / 4; ++j) {
        const int t = lane / 8 + 4 * (j / kLines);
        const int line = j % kLines;
        const int column = load_chunk * kChunk<kFp8> + line * 64 + piece * 8;
        const bool valid = column < ffn && (tokens >> static_cast<unsigned>(t) & 1U) != 0;
        const int place = kFp8 ? activated_place(t, line, piece) : place_of(t, piece);
        copy_async_16(shared_address(stage + kStage + place), valid ? static_cast<const void*>(activated + t * ffn + column) : matrices,
                      valid ? 16 : 0);
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
      // Of rows g and g + 8; on their way while the products run.
      float scales[2] = {1.0F, 1.0F};
      if constexpr (kFp8) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const int row = tile * kTileRows + group + half * 8;
          scales[half] = row < hidden ? __ldg(g.experts.down_scales + static_cast<std::int64_t>(hit_of[hit].expert) * hidden + row) : 0.0F;
        }
      }
      for (; chunk < chunks; chunk += kWarps) {
        load();
        wait_for_copies<kStages - 1>();
        __syncwarp();
        const unsigned char* stage = ring + slot * kDownStage<kFp8>;
#pragma unroll
        for (int s = 0; s < 2; ++s) {
          const int of_group = place_of(group, s * 4 + quarter);
          const uint4 low = *reinterpret_cast<const uint4*>(stage + of_group);
          const uint4 high = *reinterpret_cast<const uint4*>(stage + place_of(group + 8, s * 4 + quarter));
          const unsigned char* activated = stage + kStage;
          if constexpr (kFp8) {
            // Columns of line s: 16 of them in two pieces.
            mma_widened(sum, low, high, *reinterpret_cast<const uint4*>(activated + activated_place(group, s, 2 * quarter)),
                        *reinterpret_cast<const uint4*>(activated + activated_place(group, s, 2 * quarter + 1)));
          } else {
            mma_16x8x32<kElement>(sum, low, high, *reinterpret_cast<const uint4*>(activated + of_group));
          }
        }
        slot = slot + 1 == kStages ? 0 : slot + 1;
        __syncwarp();
      }
      chunk -= chunks;
      const float2 weight = *reinterpret_cast<const float2*>(&hit_of[hit].weight[quarter * 2]);
      if constexpr (kFp8) {
        sum[0] *= scales[0] * kSumShift;
        sum[1] *= scales[0] * kSumShift;
        sum[2] *= scales[1] * kSumShift;
        sum[3] *= scales[1] * kSumShift;
      }
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

constexpr int gate_up_bytes(int stages, int tokens, int hidden, bool fp8) {
  return kWarps * stages * kStage + tokens * x_row_bytes(hidden, fp8) + kSums + kMostHits * 2 * static_cast<int>(sizeof(int)) +
         kWarps * static_cast<int>(sizeof(float));
}
constexpr int down_bytes(int stages, bool fp8) {
  return kWarps * stages * (fp8 ? kDownStage<true> : kDownStage<false>) + kSums + kMostHits * static_cast<int>(sizeof(MoeHit));
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

// f(format, kFp8) for the kernels that a launch asks for.
template <class F>
void with_experts(const MoeFew& few, F&& f) {
  if (few.experts.fp8()) {
    f(std::integral_constant<Element, Element::kBf16>{}, std::true_type{});
  } else {
    with_element(few.element, [&](auto element) { f(element, std::false_type{}); });
  }
}

}  // namespace

bool moe_few_fits(int tokens, int hidden) {
  const bool rows = tokens * hidden * static_cast<int>(sizeof(Number)) <= shared_memory() - 16 * 1024;
  // One answer for both: where FP8 runs, its stages fit.
  return tokens >= 1 && tokens <= kFewTokens && hidden % 8 == 0 && rows &&
         gate_up_bytes(kShallow, tokens, hidden, false) <= shared_memory() && down_bytes(kShallow, false) <= shared_memory();
}

void moe_few_gate_up(const MoeFew& few, const Launch& launch) {
  if (few.gate.held == 0 || few.experts.ffn == 0) return;
  const std::int64_t tiles = static_cast<std::int64_t>(std::min(kMostHits, few.gate.held)) * (few.experts.ffn / 8);
  with_experts(few, [&](auto element, auto fp8) {
    constexpr Element kElement = decltype(element)::value;
    constexpr bool kFp8 = decltype(fp8)::value;
    const int deep = gate_up_bytes(kDeep, few.gate.tokens, few.experts.hidden, kFp8);
    if (deep <= shared_memory()) {
      launch_few<few_gate_up_kernel<kElement, kFp8, kDeep>>(launch, tiles, deep, few);
    } else {
      const int bytes = gate_up_bytes(kShallow, few.gate.tokens, few.experts.hidden, kFp8);
      launch_few<few_gate_up_kernel<kElement, kFp8, kShallow>>(launch, tiles, bytes, few);
    }
  });
}

void moe_few_down(const MoeFew& few, const Launch& launch) {
  const std::int64_t tiles = (few.experts.hidden + kTileRows - 1) / kTileRows;
  with_experts(few, [&](auto element, auto fp8) {
    constexpr Element kElement = decltype(element)::value;
    constexpr bool kFp8 = decltype(fp8)::value;
    constexpr int kStages = kDeepDown<kFp8>;
    if (down_bytes(kStages, kFp8) <= shared_memory()) {
      launch_few<few_down_kernel<kElement, kFp8, kStages>>(launch, tiles, down_bytes(kStages, kFp8), few);
    } else {
      launch_few<few_down_kernel<kElement, kFp8, kShallow>>(launch, tiles, down_bytes(kShallow, kFp8), few);
    }
  });
}

}  // namespace lindos::kernels::cuda
