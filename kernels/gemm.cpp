// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <algorithm>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/cpu/table.h"

namespace lindos::kernels {
namespace {

std::size_t element_bytes(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// Members as row parts x panel parts.
struct Grid {
  int rows, panels;
};

// The grid whose largest part is smallest; between equals, more panel parts, since each weight is then read
// by fewer members. The choice moves no bits, only work.
Grid choose_grid(std::int64_t m, std::int64_t panels, std::int64_t tile_rows, int threads) {
  Grid best{1, threads};
  std::int64_t best_part = 0;
  for (int rows = 1; rows <= threads; ++rows) {
    if (threads % rows != 0) continue;
    const Grid grid{rows, threads / rows};
    const std::int64_t row_part = std::min(ceil_div(ceil_div(m, tile_rows), rows) * tile_rows, m);
    const std::int64_t part = row_part * ceil_div(panels, grid.panels);
    if (best_part == 0 || part < best_part) {
      best = grid;
      best_part = part;
    }
  }
  return best;
}

}  // namespace

std::size_t packed_bytes(WeightType type, std::int64_t n, std::int64_t k) {
  return static_cast<std::size_t>(ceil_div(n, kPanel) * kPanel * k) * element_bytes(type);
}

void pack_weights(WeightType type, std::int64_t n, std::int64_t k, std::int64_t row, std::int64_t rows,
                  const float* source, void* destination) {
  for (std::int64_t r0 = row; r0 < std::min(row + rows, n); r0 += kPanel) {
    const std::int64_t present = std::min({kPanel, row + rows - r0, n - r0});
    const float* from = source + (r0 - row) * k;
    const std::int64_t offset = r0 * k;
    for (std::int64_t kk = 0; kk < k; ++kk) {
      float column[kPanel] = {};
      for (std::int64_t i = 0; i < present; ++i) column[i] = from[i * k + kk];
      if (type == WeightType::kF32) {
        std::memcpy(static_cast<float*>(destination) + offset + kk * kPanel, column, sizeof column);
      } else {
        // Word i holds outputs i (low half) and i + 8 (high half): widening is one shift or one mask.
        std::uint16_t words[kPanel];
        for (std::int64_t i = 0; i < kPanel / 2; ++i) {
          words[2 * i] = to_bf16(column[i]);
          words[2 * i + 1] = to_bf16(column[i + kPanel / 2]);
        }
        std::memcpy(static_cast<std::uint16_t*>(destination) + offset + kk * kPanel, words, sizeof words);
      }
    }
  }
}

void gemm(CpuPool& pool, const PackedWeights& w, const float* x, std::int64_t ldx, std::int64_t m, float* y,
          std::int64_t ldy, bool accumulate) {
  if (m <= 0 || w.n <= 0) return;
  const KernelTable& table = kernel_table();
  const std::int64_t panels = ceil_div(w.n, kPanel);
  const Grid grid = choose_grid(m, panels, table.small_rows, pool.threads());
  pool.run([&](int member, int) {
    const Part rows = part_of(m, table.small_rows, member % grid.rows, grid.rows);
    const Part columns = part_of(panels, 1, member / grid.rows, grid.panels);
    if (rows.begin == rows.end || columns.begin == columns.end) return;
    GemmPart part;
    part.weights = w.data;
    part.type = w.type;
    part.n = w.n;
    part.k = w.k;
    part.panel_begin = columns.begin;
    part.panel_end = columns.end;
    part.x = x + rows.begin * ldx;
    part.ldx = ldx;
    part.rows = rows.end - rows.begin;
    part.y = y + rows.begin * ldy;
    part.ldy = ldy;
    part.accumulate = accumulate;
    if (part.rows > table.small_rows) part.scratch = thread_scratch(ScratchSlot::kGemm, kGemmScratch);
    table.gemm(part);
  });
}

const char* gemm_isa() { return kernel_table().name; }

}  // namespace lindos::kernels
