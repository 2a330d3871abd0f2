// SPDX-License-Identifier: Apache-2.0
// The inner product loop of GEMM and attention: kRows x (kPanels x 16) outputs held in registers.
// Each output is one chain acc = fma(a[k], b[k], acc) over ascending k, of bf16 weights over ascending pairs of k,
// odd before even. As a chain may be stored and resumed exactly, its bits depend neither on the tile it is computed
// in nor on how k is cut into blocks.
#pragma once

#include "kernels/cpu/lanes.h"

namespace lindos::kernels::LINDOS_ISA {

// 12 accumulators cover the latency of two fused multiply-adds per cycle and leave room in 16 registers.
inline constexpr int kAccumulators = 12;
inline constexpr int kTileRows = kAccumulators / kVecs < 6 ? kAccumulators / kVecs : 6;
// Bytes requested ahead of the multiply-adds, over all panels, while weights stream from memory: latency
// times bandwidth of one core, 100 ns x 25 GB/s = 2.5 kB, and some slack.
inline constexpr int kStreamPrefetch = 4096;

// Panels side by side for a tile of few rows; more than four streams outrun the hardware prefetcher.
constexpr int panels_for(int rows) {
  const int fit = kAccumulators / (rows * kVecs);
  return fit > 4 ? 4 : (fit < 1 ? 1 : fit);
}

template <int kRows, int kPanels>
struct Tile {
  Sixteen acc[kRows][kPanels];

  LINDOS_INLINE void clear() {
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < kPanels; ++p) acc[r][p] = splat16(0.0F);
    }
  }
};

// Left operand in k-major tiles [k][kTileRows].
template <class Left>
struct PackedRows {
  const Left* data;
  LINDOS_INLINE Left at(int row, std::int64_t k) const { return data[k * kTileRows + row]; }
};
template <class Left>
PackedRows(const Left*) -> PackedRows<Left>;

// Left operand as it is: rows of any stride.
template <class Left>
struct StridedRows {
  const Left* data;
  std::int64_t stride;
  LINDOS_INLINE Left at(int row, std::int64_t k) const { return data[row * stride + k]; }
};
template <class Left>
StridedRows(const Left*, std::int64_t) -> StridedRows<Left>;

template <class Load, class Rows, int kRows, int kPanels>
LINDOS_INLINE void multiply_row(const Rows& a, const typename Load::Element* row, std::int64_t k, int p,
                                Tile<kRows, kPanels>& tile) {
  const Sixteen w = Load::row(row);
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    const Vec x = splat(a.at(r, k));
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; ++v) tile.acc[r][p].v[v] = fma(x, w.v[v], tile.acc[r][p].v[v]);
  }
}

// A panel of weights is a column of rows of 64 bytes; a row is what one step of a product takes from it.
struct F32Weights {
  using Element = float;
  using Left = float;
  static constexpr int kDepth = 1;  // values of k per row
  static constexpr int kLefts = 1;  // entries of the left operand per row
  template <class Rows, int kRows, int kPanels>
  LINDOS_INLINE static void step(const Rows& a, const Element* row, std::int64_t at, int p, Tile<kRows, kPanels>& tile) {
    multiply_row<LoadF32>(a, row, at, p, tile);
  }
};

struct Bf16Weights {
  using Element = std::uint32_t;
  using Left = RoundedLeft;
  static constexpr int kDepth = 2;
  static constexpr int kLefts = kLeftsOfPair;
  static constexpr int kRounded = kRoundedToBf16;
  LINDOS_INLINE static void round(const float* x, Left* to) { round_to_bf16(x, to); }
  template <class Rows, int kRows, int kPanels>
  LINDOS_INLINE static void step(const Rows& a, const Element* row, std::int64_t at, int p, Tile<kRows, kPanels>& tile) {
#if defined(__AVX512BF16__)
    const Vec words = load(row);
#pragma GCC unroll 6
    for (int r = 0; r < kRows; ++r) tile.acc[r][p].v[0] = multiply_pairs(a.at(r, at), words, tile.acc[r][p].v[0]);
#else
    // The processor's own order. Products of bf16 are exact: only sums round.
    multiply_row<LoadHalves<true>>(a, row, at * 2 + 1, p, tile);
    // Read the row again: words kept for the even halves would push two of 12 accumulators out of 16 registers.
    __asm__ volatile("" ::: "memory");
    multiply_row<LoadHalves<false>>(a, row, at * 2, p, tile);
#endif
  }
};

// Two values of k per row, each of 16 neighbours. Products of f16 are exact in f32 too, and none is too small for it, so
// fused or not the bits are the same.
struct F16Weights {
  using Element = std::uint32_t;
  using Left = float;
  static constexpr int kDepth = 2;
  static constexpr int kLefts = 2;
  static constexpr int kRounded = kLanes;
  LINDOS_INLINE static void round(const float* x, Left* to) { store(to, rounded_to_f16(load(x))); }
  template <class Rows, int kRows, int kPanels>
  LINDOS_INLINE static void step(const Rows& a, const Element* row, std::int64_t at, int p, Tile<kRows, kPanels>& tile) {
    const auto* halves = reinterpret_cast<const LoadF16::Element*>(row);
    multiply_row<LoadF16>(a, halves, at * 2, p, tile);
    multiply_row<LoadF16>(a, halves + 16, at * 2 + 1, p, tile);
  }
};

// Memory to be requested while a product runs, `step` bytes per row of a panel.
struct Ahead {
  const char* address;
  std::int64_t step;
};

// b[p] points to `depth` rows of 16, `b_stride` elements apart.
template <class Load, class Rows, int kRows, int kPanels>
LINDOS_INLINE void multiply(const Rows a, const typename Load::Element* const (&b)[kPanels],
                            std::int64_t b_stride, std::int64_t depth, Tile<kRows, kPanels>& tile) {
  for (std::int64_t k = 0; k < depth; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) multiply_row<Load>(a, b[p] + k * b_stride, k, p, tile);
  }
}

template <class Weights, class Rows, int kRows, int kPanels>
LINDOS_INLINE void stream_rows(const Rows a, const typename Weights::Element* const (&b)[kPanels], std::int64_t begin,
                               std::int64_t end, std::int64_t ahead, Tile<kRows, kPanels>& tile) {
  for (std::int64_t i = begin; i < end; ++i) {
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) {
      const typename Weights::Element* row = b[p] + i * 16;
      __builtin_prefetch(row + ahead * 16, 0, 3);
      Weights::step(a, row, i, p, tile);
    }
  }
}

// The product with `rows` rows of panels that lie one after the other in memory and stream from there. The last rows
// request the beginnings of the next kPanels panels, which follow.
template <class Weights, class Rows, int kRows, int kPanels>
LINDOS_INLINE void multiply_streaming(const Rows a, const typename Weights::Element* const (&b)[kPanels],
                                      std::int64_t rows, Tile<kRows, kPanels>& tile) {
  constexpr std::int64_t kAhead = kStreamPrefetch / kPanels / 64;
  const std::int64_t inside = rows > kAhead ? rows - kAhead : 0;
  stream_rows<Weights>(a, b, 0, inside, kAhead, tile);
  stream_rows<Weights>(a, b, inside, rows, kAhead + (kPanels - 1) * rows, tile);
}

// The same for panels in the cache, requesting other memory on the way.
template <class Weights, class Rows, int kRows, int kPanels>
LINDOS_INLINE void multiply_ahead(const Rows a, const typename Weights::Element* const (&b)[kPanels],
                                  std::int64_t rows, Ahead ahead, Tile<kRows, kPanels>& tile) {
  for (std::int64_t i = 0; i < rows; ++i) {
    __builtin_prefetch(ahead.address, 0, 2);
    ahead.address += ahead.step;
#pragma GCC unroll 4
    for (int p = 0; p < kPanels; ++p) Weights::step(a, b[p] + i * 16, i, p, tile);
  }
}

// Calls f(Count<rows>{}) for rows in [1, kTileRows].
template <int kValue>
struct Count {
  static constexpr int value = kValue;
};
template <int kRows = kTileRows, class F>
LINDOS_INLINE void with_rows(std::int64_t rows, F f) {
  if constexpr (kRows == 1) {
    f(Count<1>{});
  } else {
    if (rows == kRows) {
      f(Count<kRows>{});
    } else {
      with_rows<kRows - 1>(rows, f);
    }
  }
}

}  // namespace lindos::kernels::LINDOS_ISA
