// SPDX-License-Identifier: Apache-2.0
// The byte-bound ops of a decoder layer on the device, for steps too large for the fused decode kernels. 16-bit numbers in
// and out, f32 inside; widths are multiples of 8, rows 16-byte aligned.
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

// out[i] = table[ids[i]], rows of `width`.
void embedding(const Number* table, const int* ids, std::int64_t rows, std::int64_t width, Number* out,
               const Launch& launch);
// y[i] = x[r] · weight / sqrt(mean(x[r]²) + eps), r = source_rows[i], or i when null. y: [rows, width].
void rmsnorm(Element element, const Number* x, const int* source_rows, const Number* weight, float eps, std::int64_t rows,
             std::int64_t width, Number* y, const Launch& launch);
// gate_up [rows, 2·f] → out [rows, f] = silu(gate) · up.
void swiglu(Element element, const Number* gate_up, std::int64_t rows, std::int64_t f, Number* out, const Launch& launch);
// y[i] += bias, rows of `width`.
void bias_add(Element element, Number* y, const Number* bias, std::int64_t rows, std::int64_t width, const Launch& launch);
// Weights of `random:SEED` (exec/checkpoint/synthetic.cpp), the same bits: out[r][c] of a tight [rows, cols] block whose
// element (r, c) is element (row_begin + r)·row_length + col_begin + c of the tensor with this key and scale.
void fill_synthetic(Element element, Number* out, std::uint64_t key, float scale, std::int64_t row_begin, std::int64_t rows,
                    std::int64_t row_length, std::int64_t col_begin, std::int64_t cols, const Launch& launch);

// The largest of each row of f32 logits [rows, n], ties to the lower id: value and first_id + column. A row with a NaN
// answers NaN.
struct Best {
  float logit;
  std::int32_t id;
};
inline constexpr int kArgmaxParts = 16;
struct ArgmaxScratch {
  unsigned* tickets = nullptr;                // [rows], zeroed once; every launch leaves zeros
  Best* parts = nullptr;                      // [rows][kArgmaxParts]
};
void argmax(const float* logits, std::int64_t rows, std::int64_t n, std::int32_t first_id, Best* out,
            const ArgmaxScratch& scratch, const Launch& launch);

// Reads `bytes` (multiple of 16) once and does next to nothing with them: the read ceiling. `sink` takes one word.
void stream_read(const void* data, std::size_t bytes, std::uint32_t* sink, const Launch& launch);

}  // namespace lindos::kernels::cuda
