// SPDX-License-Identifier: Apache-2.0
// One member's part of a GEMM. Few rows: panels stream past the activations once, straight from memory.
// Many rows: a block of rows is packed k-major and meets every panel while the panel's k block is in L1.
// Against 16-bit weights activations are rounded to their format first. Depth counts rows of panels (Weights::kDepth values of k).
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

template <class Weights>
LINDOS_INLINE const typename Weights::Element* panel_at(const GemmPart& g, std::int64_t panel, std::int64_t row) {
  const std::int64_t panel_rows = (g.k + Weights::kDepth - 1) / Weights::kDepth;
  return static_cast<const typename Weights::Element*>(g.weights) + (panel * panel_rows + row) * 16;
}

// Rounds values [begin, end) of one row of x; what is missing to whole pairs is zero.
template <class Weights>
void round_row(const float* x, std::int64_t begin, std::int64_t end, typename Weights::Left* to) {
  constexpr std::int64_t kRounded = Weights::kRounded;
  constexpr std::int64_t kStored = kRounded / 2 * Weights::kLefts;
  std::int64_t k = begin;
  for (; k + kRounded <= end; k += kRounded, to += kStored) Weights::round(x + k, to);
  if (k == end) return;
  float rest[kRounded] = {};
  typename Weights::Left rounded[kStored];
  for (std::int64_t i = 0; k + i < end; ++i) rest[i] = x[k + i];
  Weights::round(rest, rounded);
  for (std::int64_t i = 0; i < (end - k + 1) / 2 * Weights::kLefts; ++i) to[i] = rounded[i];
}

// Rows [row, row + rows) of x, panel rows [d0, d0 + depth): where they lie, or rounded to `rounded`.
template <class Weights>
LINDOS_INLINE StridedRows<typename Weights::Left> left_rows(const GemmPart& g, std::int64_t row, std::int64_t rows,
                                                            std::int64_t d0, std::int64_t depth, float* rounded) {
  const float* x = g.x + row * g.ldx;
  if constexpr (Weights::kDepth == 1) {
    return {x + d0, g.ldx};
  } else {
    const std::int64_t stride = depth * Weights::kLefts;
    auto* to = reinterpret_cast<typename Weights::Left*>(rounded);
    const std::int64_t end = smaller((d0 + depth) * Weights::kDepth, g.k);
    for (std::int64_t r = 0; r < rows; ++r) round_row<Weights>(x + r * g.ldx, d0 * Weights::kDepth, end, to + r * stride);
    return {to, stride};
  }
}

template <class Weights, int kRows, int kPanels>
[[gnu::noinline]] void stream_panels(const GemmPart& g, StridedRows<typename Weights::Left> x, std::int64_t depth,
                                     std::int64_t panel) {
  const typename Weights::Element* b[kPanels];
  for (int p = 0; p < kPanels; ++p) b[p] = panel_at<Weights>(g, panel + p, 0);
  Tile<kRows, kPanels> tile;
  tile.clear();
  multiply_streaming<Weights>(x, b, depth, tile);
  finish(g, 0, panel, tile);
}

template <class Weights>
void gemm_few_rows(const GemmPart& g) {
  const std::int64_t depth = (g.k + Weights::kDepth - 1) / Weights::kDepth;
  const auto x = left_rows<Weights>(g, 0, g.rows, 0, depth, g.scratch);
  with_rows(g.rows, [&](auto rows) {
    constexpr int kRows = decltype(rows)::value;
    constexpr int kPanels = panels_for(kRows);
    std::int64_t panel = g.panel_begin;
    for (; panel + kPanels <= g.panel_end; panel += kPanels) stream_panels<Weights, kRows, kPanels>(g, x, depth, panel);
    for (; panel < g.panel_end; ++panel) stream_panels<Weights, kRows, 1>(g, x, depth, panel);
  });
}

// `count` entries of `rows` rows -> [count][kTileRows]; absent rows are not touched.
template <class Left>
void pack_rows(StridedRows<Left> from, std::int64_t rows, std::int64_t count, Left* to) {
  if (rows == kTileRows) {
    for (std::int64_t i = 0; i < count; ++i) {
#pragma GCC unroll 6
      for (int r = 0; r < kTileRows; ++r) to[i * kTileRows + r] = from.at(r, i);
    }
    return;
  }
  for (int r = 0; r < rows; ++r) {
    for (std::int64_t i = 0; i < count; ++i) to[i * kTileRows + r] = from.at(r, i);
  }
}

// The chain's state between two k blocks.
struct DepthBlock {
  std::int64_t depth;
  bool first, last;
};

template <class Weights, int kRows, int kPanels>
[[gnu::noinline]] void block_tile(const GemmPart& g, const typename Weights::Left* packed,
                                  const typename Weights::Element* const (&b)[kPanels], const DepthBlock& block,
                                  std::int64_t row, std::int64_t panel, Ahead ahead, float* partial) {
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
  multiply_ahead<Weights>(PackedRows{packed}, b, block.depth, ahead, tile);
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

template <class Weights, int kPanels>
LINDOS_INLINE void block_panels(const GemmPart& g, const typename Weights::Left* packed, const DepthBlock& block,
                                std::int64_t d0, std::int64_t row0, std::int64_t rows, std::int64_t tile_rows,
                                std::int64_t panel, float* partial) {
  using Element = typename Weights::Element;
  const Element* b[kPanels];
  for (int p = 0; p < kPanels; ++p) b[p] = panel_at<Weights>(g, panel + p, d0);
  // The tiles of these panels together request the next panels' k block, each an equal share of it.
  const std::int64_t tiles = (rows + tile_rows - 1) / tile_rows;
  const auto* next = reinterpret_cast<const char*>(panel_at<Weights>(g, panel + kPanels, d0));
  Ahead ahead{next, kPanels * 16 * static_cast<std::int64_t>(sizeof(Element)) / tiles};
  for (std::int64_t row = 0, t = 0; row < rows; row += tile_rows, ++t) {
    const auto* a = packed + t * block.depth * Weights::kLefts * kTileRows;
    float* state = partial + t * kGemmPanelBlock * kTileRows * 16;
    with_rows(smaller(tile_rows, rows - row), [&](auto count) {
      block_tile<Weights, decltype(count)::value, kPanels>(g, a, b, block, row0 + row, panel, ahead, state);
    });
    ahead.address += ahead.step * block.depth;
  }
}

template <class Weights>
void gemm_many_rows(const GemmPart& g) {
  constexpr int kPanels = kVecs == 1 ? 2 : 1;
  // The largest row block that holds whole tiles: partial sums and packed rows are laid out by tile.
  constexpr std::int64_t kRowBlock = kGemmRowBlock / kTileRows * kTileRows;
  constexpr std::int64_t kDepthBlock = kGemmDepthBlock / Weights::kLefts;
  auto* packed = reinterpret_cast<typename Weights::Left*>(g.scratch);
  float* partial = g.scratch + kGemmRowBlock * kGemmDepthBlock;
  float* rounded = partial + kGemmRowBlock * kGemmPanelBlock * 16;
  const std::int64_t tiles = (g.rows + kTileRows - 1) / kTileRows;
  const std::int64_t row_blocks = (tiles * kTileRows + kRowBlock - 1) / kRowBlock;
  const std::int64_t row_block = (tiles + row_blocks - 1) / row_blocks * kTileRows;
  const std::int64_t depth = (g.k + Weights::kDepth - 1) / Weights::kDepth;
  const std::int64_t depth_blocks = depth > 0 ? (depth + kDepthBlock - 1) / kDepthBlock : 1;
  for (std::int64_t panel0 = g.panel_begin; panel0 < g.panel_end; panel0 += kGemmPanelBlock) {
    const std::int64_t panel1 = smaller(panel0 + kGemmPanelBlock, g.panel_end);
    for (std::int64_t row0 = 0; row0 < g.rows; row0 += row_block) {
      const std::int64_t rows = smaller(row_block, g.rows - row0);
      // Tiles of nearly equal height: 8 rows are 4 + 4, not 6 + 2.
      const std::int64_t block_tiles = (rows + kTileRows - 1) / kTileRows;
      const std::int64_t tile_rows = (rows + block_tiles - 1) / block_tiles;
      for (std::int64_t d = 0; d < depth_blocks; ++d) {
        const std::int64_t d0 = depth * d / depth_blocks;
        const DepthBlock block{depth * (d + 1) / depth_blocks - d0, d == 0, d + 1 == depth_blocks};
        for (std::int64_t row = 0, t = 0; row < rows; row += tile_rows, ++t) {
          const std::int64_t present = smaller(tile_rows, rows - row);
          pack_rows(left_rows<Weights>(g, row0 + row, present, d0, block.depth, rounded), present,
                    block.depth * Weights::kLefts, packed + t * block.depth * Weights::kLefts * kTileRows);
        }
        std::int64_t panel = panel0;
        for (; panel + kPanels <= panel1; panel += kPanels) {
          block_panels<Weights, kPanels>(g, packed, block, d0, row0, rows, tile_rows, panel,
                                         partial + (panel - panel0) * kTileRows * 16);
        }
        for (; panel < panel1; ++panel) {
          block_panels<Weights, 1>(g, packed, block, d0, row0, rows, tile_rows, panel,
                                   partial + (panel - panel0) * kTileRows * 16);
        }
      }
    }
  }
}

template <class Weights>
void gemm_part(const GemmPart& g) {
  if (g.rows <= 0) return;
  g.rows <= kTileRows ? gemm_few_rows<Weights>(g) : gemm_many_rows<Weights>(g);
}

}  // namespace lindos::kernels::LINDOS_ISA
