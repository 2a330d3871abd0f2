// SPDX-License-Identifier: Apache-2.0
// One member's part of a GEMM. Few rows: panels stream past the activations once, straight from memory.
// Many rows: a block of rows is packed k-major and meets every panel while the panel's k block is in L1.
#pragma once

#include "kernels/cpu/microtile.h"
#include "kernels/cpu/table.h"

namespace lindos::kernels::LINDOS_ISA {

LINDOS_INLINE std::int64_t smaller(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Writes (or adds) a finished tile; the last panel may have fewer than 16 real columns.
template <int kRows, int kPanels>
LINDOS_INLINE void finish(const GemmPart& g, std::int64_t row, std::int64_t panel, Tile<kRows, kPanels>& tile) {
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      const std::int64_t column = (panel + p) * 16;
      float* y = g.y + (row + r) * g.ldy + column;
      Sixteen sum = tile.acc[r][p];
      if (column + 16 <= g.n) {
        if (g.accumulate) {
          const Sixteen old = load16(y);
#pragma GCC unroll 4
          for (int v = 0; v < kVecs; ++v) sum.v[v] = old.v[v] + sum.v[v];
        }
        store16(y, sum);
      } else {
        float lane[16];
        store16(lane, sum);
        for (std::int64_t i = 0; column + i < g.n; ++i) y[i] = g.accumulate ? y[i] + lane[i] : lane[i];
      }
    }
  }
}

template <class Load, int kRows, int kPanels>
[[gnu::noinline]] void stream_panels(const GemmPart& g, std::int64_t panel) {
  const auto* weights = static_cast<const typename Load::Element*>(g.weights);
  const typename Load::Element* b[kPanels];
  for (int p = 0; p < kPanels; ++p) b[p] = weights + (panel + p) * g.k * 16;
  Tile<kRows, kPanels> tile;
  tile.clear();
  multiply_streaming<Load>(StridedRows{g.x, g.ldx}, b, g.k, tile);
  finish(g, 0, panel, tile);
}

template <class Load>
void gemm_few_rows(const GemmPart& g) {
  with_rows(g.rows, [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    constexpr int kPanels = panels_for(kRows);
    std::int64_t panel = g.panel_begin;
    for (; panel + kPanels <= g.panel_end; panel += kPanels) stream_panels<Load, kRows, kPanels>(g, panel);
    for (; panel < g.panel_end; ++panel) stream_panels<Load, kRows, 1>(g, panel);
  });
}

// x rows [row, row + rows), k block [k0, k0 + depth) -> [depth][kTileRows]; absent rows are not touched.
inline void pack_rows(const GemmPart& g, std::int64_t row, std::int64_t rows, std::int64_t k0, std::int64_t depth,
                      float* to) {
  const float* from = g.x + row * g.ldx + k0;
  if (rows == kTileRows) {
    for (std::int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 6
      for (int r = 0; r < kTileRows; ++r) to[k * kTileRows + r] = from[r * g.ldx + k];
    }
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t k = 0; k < depth; ++k) to[k * kTileRows + r] = from[r * g.ldx + k];
  }
}

// The chain's state between two k blocks.
struct DepthBlock {
  std::int64_t depth;
  bool first, last;
};

template <int kRows, int kPanels>
[[gnu::noinline]] void block_tile(const GemmPart& g, const float* packed, const float* const (&b)[kPanels],
                                  const DepthBlock& block, std::int64_t row, std::int64_t panel, Ahead ahead,
                                  float* partial) {
  Tile<kRows, kPanels> tile;
  if (block.first) {
    tile.clear();
  } else {
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) tile.acc[r][p] = load16(partial + (p * kTileRows + r) * 16);
    }
  }
  multiply_ahead<LoadF32>(PackedRows{packed}, b, block.depth, ahead, tile);
  if (block.last) {
    finish(g, row, panel, tile);
    return;
  }
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) store16(partial + (p * kTileRows + r) * 16, tile.acc[r][p]);
  }
}

// f32 panels are used where they lie; bf16 ones are widened once per row block.
template <class Load>
const float* panel_block(const GemmPart& g, std::int64_t panel, std::int64_t k0, std::int64_t depth, float* wide) {
  const auto* from = static_cast<const typename Load::Element*>(g.weights) + (panel * g.k + k0) * 16;
  if constexpr (sizeof(typename Load::Element) == sizeof(float)) {
    return from;
  } else {
    for (std::int64_t k = 0; k < depth; ++k) store16(wide + k * 16, Load::row(from + k * 16));
    return wide;
  }
}

template <class Load, int kPanels>
LINDOS_INLINE void block_panels(const GemmPart& g, const float* packed, float* wide, const DepthBlock& block,
                                std::int64_t k0, std::int64_t row0, std::int64_t rows, std::int64_t tile_rows,
                                std::int64_t panel, float* partial) {
  const float* b[kPanels];
  for (int p = 0; p < kPanels; ++p) {
    b[p] = panel_block<Load>(g, panel + p, k0, block.depth, wide + p * kGemmDepthBlock * 16);
  }
  // The tiles of these panels together request the next panels' k block, each an equal share of it.
  using Element = typename Load::Element;
  const std::int64_t tiles = (rows + tile_rows - 1) / tile_rows;
  const auto* next = static_cast<const Element*>(g.weights) + ((panel + kPanels) * g.k + k0) * 16;
  Ahead ahead{reinterpret_cast<const char*>(next), kPanels * 16 * static_cast<std::int64_t>(sizeof(Element)) / tiles};
  for (std::int64_t row = 0, t = 0; row < rows; row += tile_rows, ++t) {
    const float* a = packed + t * block.depth * kTileRows;
    float* state = partial + t * kGemmPanelBlock * kTileRows * 16;
    with_rows(smaller(tile_rows, rows - row), [&](auto count) {
      block_tile<decltype(count)::value, kPanels>(g, a, b, block, row0 + row, panel, ahead, state);
    });
    ahead.address += ahead.step * block.depth;
  }
}

template <class Load>
void gemm_many_rows(const GemmPart& g) {
  constexpr int kPanels = kVecs == 1 ? 2 : 1;
  // The largest row block that holds whole tiles: partial sums and packed rows are laid out by tile.
  constexpr std::int64_t kRowBlock = kGemmRowBlock / kTileRows * kTileRows;
  float* packed = g.scratch;
  float* wide = packed + kGemmRowBlock * kGemmDepthBlock;
  float* partial = wide + 2 * kGemmDepthBlock * 16;
  const std::int64_t tiles = (g.rows + kTileRows - 1) / kTileRows;
  const std::int64_t row_blocks = (tiles * kTileRows + kRowBlock - 1) / kRowBlock;
  const std::int64_t row_block = (tiles + row_blocks - 1) / row_blocks * kTileRows;
  const std::int64_t depth_blocks = g.k > 0 ? (g.k + kGemmDepthBlock - 1) / kGemmDepthBlock : 1;
  for (std::int64_t panel0 = g.panel_begin; panel0 < g.panel_end; panel0 += kGemmPanelBlock) {
    const std::int64_t panel1 = smaller(panel0 + kGemmPanelBlock, g.panel_end);
    for (std::int64_t row0 = 0; row0 < g.rows; row0 += row_block) {
      const std::int64_t rows = smaller(row_block, g.rows - row0);
      // Tiles of nearly equal height: 8 rows are 4 + 4, not 6 + 2.
      const std::int64_t block_tiles = (rows + kTileRows - 1) / kTileRows;
      const std::int64_t tile_rows = (rows + block_tiles - 1) / block_tiles;
      for (std::int64_t d = 0; d < depth_blocks; ++d) {
        const std::int64_t k0 = g.k * d / depth_blocks;
        const DepthBlock block{g.k * (d + 1) / depth_blocks - k0, d == 0, d + 1 == depth_blocks};
        for (std::int64_t row = 0, t = 0; row < rows; row += tile_rows, ++t) {
          pack_rows(g, row0 + row, smaller(tile_rows, rows - row), k0, block.depth,
                    packed + t * block.depth * kTileRows);
        }
        std::int64_t panel = panel0;
        for (; panel + kPanels <= panel1; panel += kPanels) {
          block_panels<Load, kPanels>(g, packed, wide, block, k0, row0, rows, tile_rows, panel,
                                      partial + (panel - panel0) * kTileRows * 16);
        }
        for (; panel < panel1; ++panel) {
          block_panels<Load, 1>(g, packed, wide, block, k0, row0, rows, tile_rows, panel,
                                partial + (panel - panel0) * kTileRows * 16);
        }
      }
    }
  }
}

inline void gemm_part(const GemmPart& g) {
  if (g.rows <= 0) return;
  const bool few = g.rows <= kTileRows;
  if (g.type == WeightType::kF32) {
    few ? gemm_few_rows<LoadF32>(g) : gemm_many_rows<LoadF32>(g);
  } else {
    few ? gemm_few_rows<LoadBf16Interleaved>(g) : gemm_many_rows<LoadBf16Interleaved>(g);
  }
}

}  // namespace lindos::kernels::LINDOS_ISA
