// SPDX-License-Identifier: Apache-2.0
// y = x · Wᵀ (+ y) for weights packed in panels of 16 outputs. FLOP: 2·m·n·k; bytes: n·k·sizeof(W) + small.
// f32: everything f32. bf16, f16: weights and, as they meet them, activations are rounded to that format; products are
// exact, sums f32. A number beyond the largest f16 (65,504) becomes infinite.
// Numerics: each output is summed over k in one fixed order that depends neither on m, nor on the number of
// threads, nor on which other rows are in the batch: a row's bits are the same alone and in any batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu_pool.h"

namespace lindos::kernels {

enum class WeightType { kF32, kBf16, kF16 };
[[nodiscard]] constexpr std::int64_t bytes_of(WeightType type) { return type == WeightType::kF32 ? 4 : 2; }
inline constexpr std::int64_t kPanel = 16;

// f32: [ceil(n/16)][k][16]. bf16: [ceil(n/16)][ceil(k/2)][16][2], the layout of processors that multiply pairs of k.
// f16: [ceil(n/16)][ceil(k/2)][2][16], since processors widen neighbours. Missing columns and the missing half of the last
// pair are zero.
struct PackedWeights {
  const void* data = nullptr;   // 64-byte aligned
  WeightType type = WeightType::kF32;
  std::int64_t n = 0;
  std::int64_t k = 0;
};

[[nodiscard]] std::size_t packed_bytes(WeightType type, std::int64_t n, std::int64_t k);
// Packs rows [row, row + rows) of the [n, k] matrix from f32 `source` (row-major, tight [rows, k]).
// REQUIRES: row % 16 == 0; destination zeroed or fully covered.
void pack_weights(WeightType type, std::int64_t n, std::int64_t k, std::int64_t row, std::int64_t rows,
                  const float* source, void* destination);

// x [m, k] with row stride ldx, y [m, n] with row stride ldy (y must have room for n only).
void gemm(CpuPool& pool, const PackedWeights& w, const float* x, std::int64_t ldx, std::int64_t m,
          float* y, std::int64_t ldy, bool accumulate);

// Instruction set in use: "avx512_bf16", "avx512", "avx2" or "portable"; chosen once from the CPU.
[[nodiscard]] const char* gemm_isa();

}  // namespace lindos::kernels
