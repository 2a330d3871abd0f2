// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "kernels/bf16.h"
#include "kernels/cpu/table.h"
#include "kernels/f16.h"

namespace lindos::kernels {
namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

constexpr std::size_t kPanelRowBytes = kPanel * sizeof(float);

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
  const std::int64_t words = type == WeightType::kF32 ? k : ceil_div(k, 2);
  return static_cast<std::size_t>(ceil_div(n, kPanel) * kPanel * words) * sizeof(std::uint32_t);
}

void pack_weights(WeightType type, std::int64_t n, std::int64_t k, std::int64_t row, std::int64_t rows,
                  const float* source, void* destination) {
  for (std::int64_t r0 = row; r0 < std::min(row + rows, n); r0 += kPanel) {
    const std::int64_t present = std::min({kPanel, row + rows - r0, n - r0});
    const float* from = source + (r0 - row) * k;
    auto* panel = static_cast<std::byte*>(destination) + packed_bytes(type, r0, k);
    if (type == WeightType::kF32) {
      for (std::int64_t kk = 0; kk < k; ++kk, panel += kPanelRowBytes) {
        float column[kPanel] = {};
        for (std::int64_t i = 0; i < present; ++i) column[i] = from[i * k + kk];
        std::memcpy(panel, column, kPanelRowBytes);
      }
    } else {
      for (std::int64_t kk = 0; kk < k; kk += 2, panel += kPanelRowBytes) {
        std::uint16_t halves[2 * kPanel] = {};
        for (std::int64_t i = 0; i < present; ++i) {
          for (std::int64_t j = 0; j < std::min<std::int64_t>(2, k - kk); ++j) {
            const float value = from[i * k + kk + j];
            if (type == WeightType::kBf16) {
              halves[2 * i + j] = to_bf16(value);
            } else {
              halves[j * kPanel + i] = to_f16(value);
            }
          }
        }
        std::memcpy(panel, halves, kPanelRowBytes);
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
    part.scratch = thread_scratch(ScratchSlot::kGemm, gemm_scratch(part.rows, table.small_rows, w.k));
    table.gemm(w.type)(part);
  });
}

const char* gemm_isa() { return kernel_table().name; }

}  // namespace lindos::kernels
