// SPDX-License-Identifier: Apache-2.0
// Grouped products over rows sorted by expert: output tiles of one expert each, worked off by as many blocks as the device
// holds. Operands come through a ring of stages in shared memory that runs on from tile to tile. Tensor cores by warps
// (mma.sync) on any device from sm_80 on; large tiles on Hopper by warpgroups (wgmma), from the same ring. The list of
// tiles follows from the experts' offsets in every block.
#include <algorithm>

#include "kernels/cuda/common.cuh"
#include "kernels/cuda/device_limits.h"
#include "kernels/cuda/e4m3.cuh"
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/moe.h"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/wgmma.cuh"

namespace lindos::kernels::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kLine = 128;                 // bytes of a row per stage
constexpr int kSteps = kLine / 32;         // products per stage: 16 numbers of k each, or 32 of FP8
constexpr int kLoadRows = kThreads / 8;    // rows that the block's threads load at once, 16 bytes each

// Rows (pairs) × columns (rows of the matrix) of a tile, of a warp's part, stages of the ring, blocks per SM; whether
// warpgroups multiply, each 64 rows by all columns.
enum class Chips { kBeforeHopper, kFromHopper, kHopper };
template <int kRowsOfTile, int kColumnsOfTile, int kRowsOfWarp, int kColumnsOfWarp, int kStagesOfRing, int kBlocksPerSm,
          Chips kOfChips = Chips::kFromHopper>
struct TileShape {
  static constexpr int kRows = kRowsOfTile;
  static constexpr int kColumns = kColumnsOfTile;
  static constexpr int kWarpRows = kRowsOfWarp;
  static constexpr int kWarpColumns = kColumnsOfWarp;
  static constexpr int kStages = kStagesOfRing;
  static constexpr int kBlocks = kBlocksPerSm;
  static constexpr int kStage = (kRows + kColumns) * kLine;
  static constexpr Chips kChips = kOfChips;
  static constexpr bool kWarpgroups = kChips == Chips::kHopper;
  // Warpgroups read the chunk before while a chunk is fetched.
  static constexpr int kAhead = kStages - (kWarpgroups ? 2 : 1);
  // Their swizzle repeats after 1,024 bytes, to which the ring must be aligned.
  static constexpr int kShared = kStages * kStage + (kWarpgroups ? 1024 : 0);
  static_assert(kRows / kWarpRows * (kColumns / kWarpColumns) == kWarps);
};
using Small = TileShape<16, 128, 16, 16, 5, 2>;      // memory-bound: a few rows per expert
using Medium = TileShape<64, 128, 32, 32, 4, 2>;
using Large = TileShape<128, 256, 64, 64, 4, 1>;     // arithmetic-bound
using Hopper = TileShape<128, 256, 16, 256, 4, 1, Chips::kHopper>;
// The same for devices whose blocks have 163 KB (sm_80): 160 KB in all.
using SmallOld = TileShape<16, 128, 16, 16, 4, 2, Chips::kBeforeHopper>;
using MediumOld = TileShape<64, 128, 32, 32, 3, 2, Chips::kBeforeHopper>;
using LargeOld = TileShape<128, 256, 64, 64, 3, 1, Chips::kBeforeHopper>;

// What a chip never runs is empty in its code: kernels of other shapes, and FP8 outside Hopper (exec/cuda/device_weights.cpp).
template <class Shape, bool kFp8>
__device__ constexpr bool is_built() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  return Shape::kChips != Chips::kBeforeHopper;
#elif __CUDA_ARCH__ >= 900
  return Shape::kChips == Chips::kFromHopper && (!kFp8 || __CUDA_ARCH__ < 1000);
#else
  return Shape::kChips == Chips::kBeforeHopper && !kFp8;
#endif
}

struct Grouped {
  const int* offset = nullptr;       // [held + 1]
  const int* token = nullptr;        // gate and up: row of x of a slot; null: the slot
  const float* weight = nullptr;     // down: of a slot
  const void* x = nullptr;             // rows of k
  const void* matrices = nullptr;      // [held][…, k]
  const float* x_scales = nullptr;     // FP8: by row of x, and by row of the matrices
  const float* scales = nullptr;
  Number* out = nullptr;               // [slot][n]
  int held = 0;
  int n = 0;                         // columns of the output
  int k = 0;
};

// Where a tile lies.
struct Tile {
  int expert;
  int first_slot;   // of the tile
  int rows;         // of the expert from there on
  int column;       // first, of the output
};

struct TileList {
  int begin[kMostExperts + 1];       // first tile of each expert; all tiles from `held` on
  int offset[kMostExperts + 1];
};

template <int kRows>
__device__ __forceinline__ void list_tiles(const Grouped& g, int column_tiles, TileList& list) {
  for (int e = threadIdx.x; e <= g.held; e += kThreads) list.offset[e] = __ldcg(g.offset + e);
  __syncthreads();
  if (threadIdx.x < kWarp) {
    constexpr int kPerLane = kMostExperts / kWarp;
    const int lane = threadIdx.x;
    int before[kPerLane];
    int sum = 0;
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) {
      const int e = lane * kPerLane + j;
      before[j] = sum;
      if (e < g.held) sum += (list.offset[e + 1] - list.offset[e] + kRows - 1) / kRows * column_tiles;
    }
    const int upto = running_sum_over_warp(sum);
#pragma unroll
    for (int j = 0; j < kPerLane; ++j) list.begin[lane * kPerLane + j] = upto - sum + before[j];
    if (lane == kWarp - 1) list.begin[kMostExperts] = upto;
  }
  __syncthreads();
}

// The rows of an expert are innermost: its columns of the matrix are read once from memory, then from L2.
template <int kRows, int kOutColumns>
__device__ __forceinline__ Tile find_tile(const TileList& list, int tile) {
  // The last expert that begins at or before the tile: one that has tiles.
  int expert = 0;
#pragma unroll
  for (int step = kMostExperts / 2; step > 0; step /= 2) {
    if (list.begin[expert + step] <= tile) expert += step;
  }
  const int rows = list.offset[expert + 1] - list.offset[expert];
  const int row_tiles = (rows + kRows - 1) / kRows;
  const int within = tile - list.begin[expert];
  const int column_tile = within / row_tiles;
  const int row = (within - column_tile * row_tiles) * kRows;
  return {expert, list.offset[expert] + row, rows - row, column_tile * kOutColumns};
}

// Piece (16 bytes) of a row in a stage: eight rows' same piece lie in different banks. It is the products' 128-byte swizzle.
__device__ __forceinline__ int place_of(int row, int piece) { return row * kLine + ((piece ^ (row & 7)) << 4); }

// Lane t of a quad has four values; afterwards lane t has value t of each of the four lanes.
__device__ __forceinline__ void transpose_quad(std::uint32_t (&v)[4], int quarter) {
  const auto exchange = [](std::uint32_t& a, std::uint32_t& b, bool upper, int mask) {
    const std::uint32_t other = __shfl_xor_sync(0xffffffffU, upper ? a : b, mask);
    (upper ? a : b) = other;
  };
  const bool odd = (quarter & 1) != 0;
  exchange(v[0], v[1], odd, 1);
  exchange(v[2], v[3], odd, 1);
  const bool high = (quarter & 2) != 0;
  exchange(v[0], v[2], high, 2);
  exchange(v[1], v[3], high, 2);
}

// kGated: `matrices` are gate|up, and the output is silu(gate) · up of half as many columns: in a stage 8 rows of the gate
// alternate with the same 8 of `up`, so that both land in one thread. Otherwise rows of the output are weighted.
// kFp8: x and matrices are E4M3; the sum of row and column stands for that times both scales.
template <Element kElement, bool kFp8, class Shape, bool kGated>
__global__ void __launch_bounds__(kThreads, Shape::kBlocks) tiles_kernel(const Grouped g) {
  if constexpr (!is_built<Shape, kFp8>()) return;
  extern __shared__ __align__(128) unsigned char shared[];
  __shared__ TileList list;
  unsigned char* ring = shared;
  if constexpr (Shape::kWarpgroups) ring += (1024U - shared_address(shared) % 1024U) % 1024U;
  constexpr int kRows = Shape::kRows;
  constexpr int kColumns = Shape::kColumns;
  constexpr int kOutColumns = kGated ? kColumns / 2 : kColumns;
  constexpr int kRowTiles = Shape::kWarpRows / 16;
  constexpr int kColumnTiles = Shape::kWarpColumns / 8;
  constexpr int kRowLoads = (kRows + kLoadRows - 1) / kLoadRows;
  constexpr int kColumnLoads = kColumns / kLoadRows;

  wait_for_predecessor();
  list_tiles<kRows>(g, (g.n + kOutColumns - 1) / kOutColumns, list);
  const int tiles = list.begin[kMostExperts];
  const std::int64_t row_bytes = static_cast<std::int64_t>(g.k) * (kFp8 ? 1 : 2);
  const int chunks = static_cast<int>((row_bytes + kLine - 1) / kLine);
  const int warp = threadIdx.x / kWarp;
  const int lane = threadIdx.x % kWarp;

  // --- loads: 16 bytes per thread, row and stage
  const int piece = threadIdx.x % 8;
  const int load_row = threadIdx.x / 8;
  // Of the matrix: rows b_row, b_row + kStep, …
  constexpr int kStep = kGated ? kLoadRows / 2 : kLoadRows;
  const bool of_up = kGated && (load_row / 8) % 2 == 1;
  const int within_step = kGated ? load_row / 16 * 8 + load_row % 8 : load_row;
  int load_tile = static_cast<int>(blockIdx.x);
  int load_chunk = 0;
  int load_slot = 0;
  int a_row[kRowLoads];      // row of x, −1: none
  const auto* x = static_cast<const unsigned char*>(g.x);
  const auto* matrices = static_cast<const unsigned char*>(g.matrices);
  const unsigned char* b_from = nullptr;
  int b_row = 0;
  const auto open = [&] {
    const Tile tile = find_tile<kRows, kOutColumns>(list, load_tile);
#pragma unroll
    for (int i = 0; i < kRowLoads; ++i) {
      const int row = load_row + i * kLoadRows;
      const bool inside = row < tile.rows && row < kRows;
      const int slot = tile.first_slot + row;
      a_row[i] = !inside ? -1 : g.token != nullptr ? __ldcg(g.token + slot) : slot;
    }
    b_row = tile.column + within_step;
    const std::int64_t first = static_cast<std::int64_t>(tile.expert) * (kGated ? 2 * g.n : g.n) + (of_up ? g.n : 0) + b_row;
    b_from = matrices + first * row_bytes + piece * 16;
  };
  if (load_tile < tiles) open();
  const auto load = [&] {
    if (load_tile < tiles) {
      unsigned char* stage = ring + load_slot * Shape::kStage;
      const int at = load_chunk * kLine + piece * 16;
      const bool inside = at < row_bytes;
#pragma unroll
      for (int i = 0; i < kRowLoads; ++i) {
        const int row = load_row + i * kLoadRows;
        const bool valid = inside && a_row[i] >= 0;
        if (kRows % kLoadRows == 0 || row < kRows) {
          copy_async_16(shared_address(stage + place_of(row, piece)), valid ? x + a_row[i] * row_bytes + at : x, valid ? 16 : 0);
        }
      }
      const unsigned char* source = b_from + load_chunk * kLine;
#pragma unroll
      for (int i = 0; i < kColumnLoads; ++i) {
        const bool valid = inside && b_row + i * kStep < g.n;
        copy_async_16(shared_address(stage + place_of(kRows + load_row + i * kLoadRows, piece)),
                      valid ? source + i * kStep * row_bytes : matrices, valid ? 16 : 0);
      }
      if (++load_chunk == chunks) {
        load_chunk = 0;
        load_tile += static_cast<int>(gridDim.x);
        if (load_tile < tiles) open();
      }
    }
    load_slot = load_slot + 1 == Shape::kStages ? 0 : load_slot + 1;
    commit_copies();
  };
#pragma unroll
  for (int i = 0; i < Shape::kAhead; ++i) load();

  // --- products
  constexpr int kWarpsAcross = kColumns / Shape::kWarpColumns;
  const int warp_row = warp / kWarpsAcross * Shape::kWarpRows;
  const int warp_column = warp % kWarpsAcross * Shape::kWarpColumns;
  // Lane's row and piece for load_matrix: tiles (rows 0–7, k 0–7), (8–15, 0–7), (0–7, 8–15), (8–15, 8–15) of x; of the
  // matrix the second and third change places, so that a tile's two halves of k are neighbours.
  const int a_line = warp_row + lane % 16;
  const int a_piece = lane / 16;
  const int b_line = kRows + warp_column + lane / 16 * 8 + lane % 8;
  const int b_piece = lane / 8 % 2;
  const int group = lane / 4;
  const int quarter = lane % 4;
  int slot = 0;
  for (int index = static_cast<int>(blockIdx.x); index < tiles; index += static_cast<int>(gridDim.x)) {
    // Tiles of 16 × 8, row by row, four values each.
    float sum[kRowTiles * kColumnTiles * 4];
    if constexpr (Shape::kWarpgroups) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
      const int group_row = warp / 4 * 64;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        wait_for_copies<Shape::kAhead - 1>();
        show_to_products();
        // Everybody's copies have arrived, and everybody's products of two chunks ago, whose slot load() fills, are done.
        __syncthreads();
        const unsigned char* stage = ring + slot * Shape::kStage;
        const std::uint64_t rows = descriptor(stage + group_row * kLine, 16, 8 * kLine);
        const std::uint64_t columns = descriptor(stage + kRows * kLine, 16, 8 * kLine);
        hold(sum);
        products_begin();
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          // 32 bytes further.
          const std::uint64_t x_step = rows + static_cast<unsigned>(step * 2);
          const std::uint64_t w_step = columns + static_cast<unsigned>(step * 2);
          if constexpr (kFp8) {
            multiply_e4m3_64x256(sum, x_step, w_step, chunk + step > 0 ? 1 : 0);
          } else {
            multiply_64x256<kElement>(sum, x_step, w_step, chunk + step > 0 ? 1 : 0);
          }
        }
        products_commit();
        products_wait<1>();
        load();
        slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
      }
      products_wait<0>();
      hold(sum);
#endif
    } else {
#pragma unroll
      for (int i = 0; i < kRowTiles * kColumnTiles * 4; ++i) sum[i] = 0.0F;
      for (int chunk = 0; chunk < chunks; ++chunk) {
        wait_for_copies<Shape::kAhead - 1>();
        // Everybody's copies have arrived, and everybody is done with the slot that load() fills next.
        __syncthreads();
        load();
        const std::uint32_t stage = shared_address(ring + slot * Shape::kStage);
        std::uint32_t a[2][kRowTiles][4];
        std::uint32_t b[2][kColumnTiles / 2][4];
        const auto fetch = [&](int step) {
#pragma unroll
          for (int i = 0; i < kRowTiles; ++i) {
            load_matrix(a[step % 2][i], stage + static_cast<std::uint32_t>(place_of(a_line + i * 16, step * 2 + a_piece)));
          }
#pragma unroll
          for (int j = 0; j < kColumnTiles / 2; ++j) {
            load_matrix(b[step % 2][j], stage + static_cast<std::uint32_t>(place_of(b_line + j * 16, step * 2 + b_piece)));
          }
        };
        fetch(0);
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
          if (step + 1 < kSteps) fetch(step + 1);
          const auto& rows = a[step % 2];
          const auto& columns = b[step % 2];
#pragma unroll
          for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
            for (int j = 0; j < kColumnTiles; ++j) {
              auto& d = reinterpret_cast<float(&)[4]>(sum[(i * kColumnTiles + j) * 4]);
              const auto& r = rows[i];
              const auto& c = columns[j / 2];
              if constexpr (kFp8) {
                mma_e4m3(d, r[0], r[1], r[2], r[3], c[j % 2 * 2], c[j % 2 * 2 + 1]);
              } else {
                mma_16x8x16<kElement>(d, r[0], r[1], r[2], r[3], c[j % 2 * 2], c[j % 2 * 2 + 1]);
              }
            }
          }
        }
        slot = slot + 1 == Shape::kStages ? 0 : slot + 1;
      }
    }

    // --- output: tiles of 8 columns, two per lane
    constexpr int kOutTiles = kGated ? kColumnTiles / 2 : kColumnTiles;
    const Tile tile = find_tile<kRows, kOutColumns>(list, index);
    const int first_column = tile.column + (kGated ? warp_column / 2 : warp_column);
#pragma unroll
    for (int i = 0; i < kRowTiles; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = warp_row + i * 16 + half * 8 + group;
        const bool inside = row < tile.rows;
        std::uint32_t out[kOutTiles];
        const int slot_of_row = tile.first_slot + row;
        const float weight = !kGated && inside ? g.weight[slot_of_row] : 0.0F;
        float x_scale = 1.0F;
        if constexpr (kFp8) x_scale = !inside ? 0.0F : g.x_scales[g.token != nullptr ? __ldcg(g.token + slot_of_row) : slot_of_row];
#pragma unroll
        for (int j = 0; j < kOutTiles; ++j) {
          // Of this lane's two columns.
          float2 scale{1.0F, 1.0F};
          float2 up_scale{1.0F, 1.0F};
          if constexpr (kFp8) {
            const int column = first_column + j * 8 + quarter * 2;
            const float* of_expert = g.scales + static_cast<std::int64_t>(tile.expert) * (kGated ? 2 * g.n : g.n);
            if (column < g.n) {
              scale = *reinterpret_cast<const float2*>(of_expert + column);
              if constexpr (kGated) up_scale = *reinterpret_cast<const float2*>(of_expert + g.n + column);
            }
            scale = {scale.x * x_scale, scale.y * x_scale};
            up_scale = {up_scale.x * x_scale, up_scale.y * x_scale};
          }
          if constexpr (kGated) {
            const float* gate = sum + (i * kColumnTiles + 2 * j) * 4 + half * 2;
            const float* up = gate + 4;
            out[j] = pack<kElement>(silu(gate[0] * scale.x) * (up[0] * up_scale.x), silu(gate[1] * scale.y) * (up[1] * up_scale.y));
          } else {
            const float* product = sum + (i * kColumnTiles + j) * 4 + half * 2;
            out[j] = pack<kElement>(weight * (product[0] * scale.x), weight * (product[1] * scale.y));
          }
        }
        Number* to = g.out + static_cast<std::int64_t>(tile.first_slot + row) * g.n;
        if constexpr (kOutTiles % 4 == 0) {
          // Four lanes of a row trade, so that each stores the 16 bytes of a whole tile.
#pragma unroll
          for (int j = 0; j < kOutTiles; j += 4) {
            std::uint32_t v[4] = {out[j], out[j + 1], out[j + 2], out[j + 3]};
            transpose_quad(v, quarter);
            const int column = first_column + (j + quarter) * 8;
            if (inside && column < g.n) *reinterpret_cast<uint4*>(to + column) = {v[0], v[1], v[2], v[3]};
          }
        } else {
#pragma unroll
          for (int j = 0; j < kOutTiles; ++j) {
            const int column = first_column + j * 8;
            if (inside && column < g.n) *reinterpret_cast<std::uint32_t*>(to + column + quarter * 2) = out[j];
          }
        }
      }
    }
  }
  wait_for_copies<0>();
  release_dependents();
}

// y (+)= Σ over a token's held experts, ascending, of their weighted products.
template <Element kElement>
__global__ void __launch_bounds__(kThreads) combine_kernel(const MoeTiles t) {
  wait_for_predecessor();
  const int vectors = t.experts.hidden / 8;
  const std::int64_t total = static_cast<std::int64_t>(t.gate.tokens) * vectors;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<std::int64_t>(gridDim.x) * kThreads) {
    const std::int64_t token = i / vectors;
    const std::int64_t at = i % vectors;
    const int* slots = t.groups.slot + token * t.gate.top_k;
    float sum[8] = {};
#pragma unroll 4
    for (int j = 0; j < t.gate.top_k; ++j) {
      const int slot = slots[j];
      if (slot < 0) continue;
      const Number* product = t.products + static_cast<std::int64_t>(slot) * t.experts.hidden;
      add_eight<kElement>(sum, reinterpret_cast<const uint4*>(product)[at]);
    }
    auto* y = reinterpret_cast<uint4*>(t.y) + i;
    if (t.accumulate) add_eight<kElement>(sum, *y);
    *y = pack_eight<kElement>(sum);
  }
  release_dependents();
}

template <Element kElement, bool kFp8, class Shape, bool kGated>
void launch_shape(const Grouped& g, const Launch& launch) {
  static const bool raised = [] {
    (void)cudaFuncSetAttribute(tiles_kernel<kElement, kFp8, Shape, kGated>, cudaFuncAttributeMaxDynamicSharedMemorySize, Shape::kShared);
    return true;
  }();
  (void)raised;
  const auto blocks = static_cast<unsigned>(multiprocessors() * Shape::kBlocks);
  launch_kernel(launch, tiles_kernel<kElement, kFp8, Shape, kGated>, dim3(blocks), dim3(kThreads), static_cast<std::size_t>(Shape::kShared), g);
}

#ifdef LINDOS_CUDA_SM90A
constexpr bool kHopperBuilt = true;
#else
constexpr bool kHopperBuilt = false;   // the kernel is empty in a build for other architectures
#endif

// Rows that an expert gets on average decide: they are known without asking the device.
template <Element kElement, bool kFp8, bool kGated>
void launch_typed(const MoeTiles& tiles, const Grouped& g, const Launch& launch) {
  // Of the device and of the code that runs on it, which may be an older architecture's.
  static const bool roomy = [] {
    cudaFuncAttributes attributes{};
    const bool known = cudaFuncGetAttributes(&attributes, tiles_kernel<kElement, kFp8, Small, kGated>) == cudaSuccess;
    return !(known && attributes.ptxVersion < 90) && Large::kShared + static_cast<int>(sizeof(TileList)) <= shared_memory();
  }();
  const auto shaped = [&](auto large, auto small) {
    if (kFp8 || roomy) {
      launch_shape<kElement, kFp8, decltype(large), kGated>(g, launch);
    } else if constexpr (!kFp8) {
      launch_shape<kElement, kFp8, decltype(small), kGated>(g, launch);
    }
  };
  const std::int64_t pairs = static_cast<std::int64_t>(tiles.gate.tokens) * tiles.gate.top_k;
  if (pairs <= 12 * static_cast<std::int64_t>(tiles.gate.experts)) {
    shaped(Small{}, SmallOld{});
  } else if (pairs <= 64 * static_cast<std::int64_t>(tiles.gate.experts)) {
    shaped(Medium{}, MediumOld{});
  } else if (kHopperBuilt && compute_capability() == 90 && !tiles.portable) {
    launch_shape<kElement, kFp8, Hopper, kGated>(g, launch);
  } else {
    shaped(Large{}, LargeOld{});
  }
}

template <bool kGated>
void launch_tiles(const MoeTiles& tiles, const Grouped& g, const Launch& launch) {
  if (g.held == 0 || g.n == 0 || g.k == 0) return;
  if (tiles.experts.fp8()) {
    launch_typed<Element::kBf16, true, kGated>(tiles, g, launch);
  } else {
    with_element(tiles.element, [&](auto element) { launch_typed<decltype(element)::value, false, kGated>(tiles, g, launch); });
  }
}

Grouped grouped(const MoeTiles& tiles) {
  Grouped g;
  g.offset = tiles.groups.offset;
  g.held = tiles.gate.held;
  return g;
}

}  // namespace

void moe_tiles_gate_up(const MoeTiles& tiles, const Launch& launch) {
  Grouped g = grouped(tiles);
  g.token = tiles.groups.token;
  g.x = tiles.x;
  g.x_scales = tiles.x_scales;
  g.matrices = tiles.experts.gate_up;
  g.scales = tiles.experts.gate_up_scales;
  g.out = tiles.activated;
  g.n = tiles.experts.ffn;
  g.k = tiles.experts.hidden;
  launch_tiles<true>(tiles, g, launch);
}

void moe_tiles_down(const MoeTiles& tiles, const Launch& launch) {
  Grouped g = grouped(tiles);
  g.weight = tiles.groups.slot_weight;
  const bool fp8 = tiles.experts.fp8();
  g.x = fp8 ? static_cast<const void*>(tiles.quantised) : tiles.activated;
  g.x_scales = tiles.quantised_scales;
  g.matrices = tiles.experts.down;
  g.scales = tiles.experts.down_scales;
  g.out = tiles.products;
  g.n = tiles.experts.hidden;
  g.k = tiles.experts.ffn;
  launch_tiles<false>(tiles, g, launch);
}

void moe_combine(const MoeTiles& tiles, const Launch& launch) {
  const std::int64_t items = static_cast<std::int64_t>(tiles.gate.tokens) * (tiles.experts.hidden / 8);
  const std::int64_t blocks = std::clamp<std::int64_t>((items + kThreads - 1) / kThreads, 1, multiprocessors() * 16);
  with_element(tiles.element, [&](auto element) {
    launch_kernel(launch, combine_kernel<decltype(element)::value>, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, tiles);
  });
}

}  // namespace lindos::kernels::cuda
