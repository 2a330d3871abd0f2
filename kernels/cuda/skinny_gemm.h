// SPDX-License-Identifier: Apache-2.0
// y = f(x · Wᵀ) for at most 8 rows x: the decode step of a few sequences, a race to read W once. Weights and activations of
// one 16-bit format, or weights FP8 E4M3 with a scale per row (kernels/cuda/quantise.h) and activations bf16; f32
// accumulation on tensor cores (the rows padded to 8). FLOP: 2·m·n·k; bytes: n·k·2 (FP8: n·k) + small. The floor is those
// bytes / read bandwidth.
//
// Each warp of a block streams its share of the block's rows through a ring of its own in shared memory, 128 bytes of
// each of 16 rows at a time, with several stages in flight; sums over warps meet once per 16 rows, with FP8 once per 32. The
// rings fill before the preceding kernel has ended (dependent launch), so that memory idles less between kernels.
// Numerics: for given m, n, k the sum over k is taken in one order, so results repeat bit for bit. An FP8 weight enters the
// product exactly, as bf16.
#pragma once

#include <cstdint>

#include "kernels/cuda/element.h"
#include "kernels/cuda/launch.h"

namespace lindos::kernels::cuda {

inline constexpr int kSkinnyRows = 8;

enum class SkinnyOutput {
  kStore,      // y = x · Wᵀ (+ bias)
  kAdd,        // y += x · Wᵀ (+ bias)
  kSwiglu,     // y = silu(x · Wᵀ) · (x · Upᵀ)
  kLogits,     // y = x · Wᵀ, f32
};

struct SkinnyGemm {
  Element element = Element::kBf16;         // of x, norm, biases, y, and of weights without scales
  const void* weights = nullptr;            // [n, k], 16-byte aligned; E4M3 with `scales`
  const void* up = nullptr;                 // kSwiglu: the second matrix [n, k]
  const float* scales = nullptr;            // [n], if given: row r of W stands for scales[r] · W[r]
  const float* up_scales = nullptr;
  std::int64_t n = 0;
  std::int64_t k = 0;                       // multiple of 32
  const Number* x = nullptr;                // [m, k], row stride ldx (multiple of 8)
  std::int64_t ldx = 0;
  int m = 0;                                // 1 to 8
  const Number* norm = nullptr;             // if given: x is first normalised, x · norm / sqrt(mean(x²) + eps)
  float eps = 0.0F;
  const Number* bias = nullptr;             // [n]; kSwiglu: gate's
  const Number* up_bias = nullptr;
  void* y = nullptr;                        // [m, n], row stride ldy
  std::int64_t ldy = 0;
  SkinnyOutput output = SkinnyOutput::kStore;
  // Fetches the rest of W into L2 while waiting for the predecessor (which leaves memory idle).
  bool prefetch = false;
};

// True when skinny_gemm takes such a product: x must fit shared memory beside the rings.
[[nodiscard]] bool skinny_fits(std::int64_t m, std::int64_t k);
void skinny_gemm(const SkinnyGemm& gemm, const Launch& launch);

}  // namespace lindos::kernels::cuda
