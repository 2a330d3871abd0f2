// SPDX-License-Identifier: Apache-2.0
// Rows of bf16 → FP8 E4M3 with one f32 scale per row: y[r][i] = round(v / scale[r]), scale[r] = max|v| / 448 (1 for a row
// of zeros). v is the row itself, the row normalised, or SwiGLU of its two halves. Weights are quantised once by it (a
// scale per output), activations at each product (a scale per token).
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

enum class QuantiseInput {
  kPlain,      // v = x[r]
  kNorm,       // v = x[r] · norm / sqrt(mean(x[r]²) + eps)
  kSwiglu,     // x[r] is [gate | up], each k wide; v = silu(gate) · up
};

struct QuantiseRows {
  const Number* x = nullptr;             // bf16 [rows, k], for kSwiglu [rows, 2·k]; tight, 16-byte aligned
  std::int64_t rows = 0;
  std::int64_t k = 0;                    // multiple of 16
  QuantiseInput input = QuantiseInput::kPlain;
  const Number* norm = nullptr;          // [k]
  float eps = 0.0F;
  std::uint8_t* y = nullptr;             // [rows, k]
  float* scales = nullptr;               // [rows]
  const int* count = nullptr;            // if given: how many of the rows are there; those beyond are left alone
};
// FLOP: a few per element; bytes: rows · k · (2 or 4 + 1).
void quantise_rows(const QuantiseRows& q, const Launch& launch);

}  // namespace lindos::kernels::cuda
