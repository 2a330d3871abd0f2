// SPDX-License-Identifier: Apache-2.0
// What one instruction set offers: single-threaded parts of the ops, as plain functions. The ops divide the
// work among the members of a pool and call these through the table chosen once for this CPU.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/gemm.h"

namespace lindos::kernels {

inline constexpr std::int64_t kGemmRowBlock = 120;    // rows whose k block stays in L2: 120 x 384 x 4 B = 180 KB
inline constexpr std::int64_t kGemmDepthBlock = 384;  // depth of a panel that stays in L1: 384 x 64 B = 24 KB
inline constexpr std::int64_t kGemmPanelBlock = 64;   // panels per pass over the row block's partial sums
inline constexpr std::int64_t kGemmTileRows = 6;      // rows of a tile, at most
// Floats that a part needs: for many rows the packed ones, partial sums and one tile rounded to 16 bits; for the few
// rows of one tile (`small_rows`) that tile.
[[nodiscard]] constexpr std::size_t gemm_scratch(std::int64_t rows, std::int64_t small_rows, std::int64_t k) {
  return static_cast<std::size_t>(rows > small_rows
                                      ? kGemmRowBlock * (kGemmDepthBlock + kGemmPanelBlock * 16) + kGemmTileRows * kGemmDepthBlock
                                      : small_rows * (k + 1));
}

// Rows [row, row + rows) x panels [panel_begin, panel_end) of y = x W^T (+ y).
struct GemmPart {
  const void* weights = nullptr;
  std::int64_t n = 0, k = 0;
  std::int64_t panel_begin = 0, panel_end = 0;
  const float* x = nullptr;  // first row of the part
  std::int64_t ldx = 0, rows = 0;
  float* y = nullptr;        // first row of the part, column 0
  std::int64_t ldy = 0;
  bool accumulate = false;
  float* scratch = nullptr;  // [gemm_scratch(rows, small_rows, k)], 64-byte aligned
};

inline constexpr std::int64_t kKeyGroup = 128;  // keys reduced together, from position 0

// Query rows (token, head) of consecutive tokens and the heads that share one KV head, against key groups
// [group_begin, group_end).
struct AttentionPart {
  const void* k = nullptr;  // KV head's first element in block 0
  const void* v = nullptr;
  WeightType type = WeightType::kF32;
  std::int64_t head_dim = 0;
  std::int64_t page_stride = 0;  // elements from block to block
  const std::int32_t* blocks = nullptr;
  std::int64_t first_position = 0;  // of the first token
  std::int64_t tokens = 0, heads = 0;
  const float* q = nullptr;  // first token, first head
  std::int64_t ldq = 0;
  float* out = nullptr;
  std::int64_t ldo = 0;
  float scale = 1.0F;
  std::int64_t window = 0;
  std::int64_t group_begin = 0, group_end = 0;
  // Null: all groups are here, write `out`. Else the state of each (group, row) goes to
  // partial[((group - group_begin) * rows + row) * (head_dim + 2)] = {maximum, sum, weighted values}.
  float* partial = nullptr;
  float* scratch = nullptr;  // attention_scratch(rows, head_dim) floats
};
[[nodiscard]] constexpr std::int64_t attention_scratch(std::int64_t rows, std::int64_t head_dim) {
  const std::int64_t padded = (rows + 5) / 6 * 6 + 6;
  return padded * (head_dim + 2) * 2 + 6 * kKeyGroup + 16 * kKeyGroup + 64;
}

struct KernelTable {
  const char* name;
  std::int64_t small_rows;  // up to here a GEMM part is one tile
  void (*gemm_f32)(const GemmPart&);
  void (*gemm_bf16)(const GemmPart&);
  void (*gemm_f16)(const GemmPart&);
  void (*attention)(const AttentionPart&);
  void (*attention_merge)(const AttentionPart&);  // partial of all groups, ascending -> out
  void (*rmsnorm)(const float* x, const float* weight, double eps, std::int64_t h, float* y);
  void (*rope)(float* head, std::int64_t half, const float* cos, const float* sin);
  void (*swiglu)(const float* gate, const float* up, std::int64_t f, float* out);
  void (*add)(float* x, const float* y, const float* bias, std::int64_t h);  // y or bias may be null
  void (*scaled_add)(float* x, const float* y, float scale, std::int64_t h);  // x += scale * y, fused
  float (*largest)(const float* x, std::int64_t n);  // NaN ignored; -infinity if nothing else
  float (*read_sum)(const float* x, std::int64_t n);  // touches every byte; n % 64 == 0

  [[nodiscard]] auto gemm(WeightType type) const {
    return type == WeightType::kF32 ? gemm_f32 : type == WeightType::kBf16 ? gemm_bf16 : gemm_f16;
  }
};

extern const KernelTable kPortableKernels;
#if defined(LINDOS_KERNELS_X86)
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Kernels;
void avx512_bf16_gemm(const GemmPart&);
#endif

// Tables that this CPU can run, the best one last.
[[nodiscard]] const std::vector<const KernelTable*>& runnable_kernel_tables();

[[nodiscard]] const KernelTable& kernel_table();

// 64-byte aligned floats that belong to the calling thread until its next call with the same slot.
enum class ScratchSlot { kGemm, kAttention, kAttentionPartial };
[[nodiscard]] float* thread_scratch(ScratchSlot slot, std::size_t floats);

}  // namespace lindos::kernels
