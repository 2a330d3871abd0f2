// SPDX-License-Identifier: Apache-2.0
// The byte-bound ops of a decoder layer: gather, norm, rotate, activate, add, pick. f32 activations.
// Row-wise and deterministic: a row's bits do not depend on the batch or the threads.
#pragma once

#include <cstdint>

#include "kernels/cpu_pool.h"
#include "kernels/gemm.h"

namespace lindos::kernels {

// out[i] = table[ids[i]] for a panel-packed table (the tied LM head); ids in [0, table.n).
void embedding(CpuPool& pool, const PackedWeights& table, const std::int32_t* ids, std::int64_t m,
               float* out, std::int64_t ldo);
// y = x · weight / sqrt(mean(x²) + eps) per row of width h. In place allowed.
void rmsnorm(CpuPool& pool, const float* x, std::int64_t ldx, const float* weight, double eps,
             std::int64_t m, std::int64_t h, float* y, std::int64_t ldy);
// The same per head: rows of heads × head_dim, weight [head_dim]. In place.
void head_rmsnorm(CpuPool& pool, float* x, std::int64_t ldx, const float* weight, double eps,
                  std::int64_t m, std::int64_t heads, std::int64_t head_dim);
// Rotates pairs (i, i + d/2) of each head by the angle of the row's position (Hugging Face pairing).
// cos/sin tables [max_positions][head_dim/2].
void rope(CpuPool& pool, float* x, std::int64_t ldx, std::int64_t m, std::int64_t heads,
          std::int64_t head_dim, const std::int64_t* positions, const float* cos, const float* sin);
// gate_up rows [gate(f) | up(f)] → out rows [silu(gate) · up].
void swiglu(CpuPool& pool, const float* gate_up, std::int64_t ldg, std::int64_t m, std::int64_t f,
            float* out, std::int64_t ldo);
// x += y (+ bias, if not null).
void residual_add(CpuPool& pool, float* x, std::int64_t ldx, const float* y, std::int64_t ldy,
                  const float* bias, std::int64_t m, std::int64_t h);
void bias_add(CpuPool& pool, float* x, std::int64_t ldx, const float* bias, std::int64_t m, std::int64_t n);

}  // namespace lindos::kernels
