// SPDX-License-Identifier: Apache-2.0
// Products with a rank's matrices beyond the rows that skinny_gemm takes: activations are brought into the form that the
// weights ask for (their own format, or FP8 with a scale per token), then cuBLASLt multiplies. One way for the engine and its probe.
// Threading: one object per rank thread.
#pragma once

#include <cstdint>
#include <span>

#include "exec/cuda/blas_lt.h"
#include "exec/cuda/device_buffer.h"
#include "exec/cuda/device_weights.h"
#include "kernels/cuda/quantise.h"
#include "kernels/cuda/skinny_gemm.h"

namespace lindos::exec::cuda {

// What a product reads: 16-bit numbers, or E4M3 with a scale per row.
struct Operand {
  const void* data = nullptr;
  const float* scales = nullptr;
};

// What becomes of x on its way into a product.
struct OperandSource {
  Element element = Element::kBf16;
  const Number* x = nullptr;             // [rows, k]; for kSwiglu [rows, 2·k]
  std::int64_t rows = 0;
  std::int64_t k = 0;
  kernels::cuda::QuantiseInput input = kernels::cuda::QuantiseInput::kPlain;
  const Number* norm = nullptr;          // kNorm
  float eps = 0.0F;
};

class Products {
 public:
  // Scratch for FP8 activations of `elements` in `rows` rows; none without FP8 weights. `memory`: as BlasLt's.
  Products(bool fp8, std::int64_t rows, std::int64_t elements, std::shared_ptr<TunedProducts> memory = nullptr);

  // `wide` receives the result where it is not FP8 and x does not stay as it is.
  [[nodiscard]] Operand prepare(bool fp8, const OperandSource& source, Number* wide,
                                const kernels::cuda::Launch& launch) const;
  // y = x · Wᵀ (+ y): [rows, n], in the format of w.element, or f32 with `logits`.
  void multiply(const DeviceMatrix& w, const Operand& x, std::int64_t rows, void* y, bool logits, bool accumulate, cudaStream_t stream);
  // As BlasLt::tune, on activations as they lie in x (FP8: quantised first).
  void tune(const DeviceMatrix& w, std::span<const void* const> more_weights, const Number* x, std::int64_t rows, void* y,
            bool logits, bool accumulate, cudaStream_t stream);
  [[nodiscard]] std::size_t scratch_bytes() const { return blas_.workspace_bytes() + quantised_.bytes() + scales_.bytes(); }

 private:
  BlasLt blas_;
  DeviceBuffer quantised_, scales_;
};

// The weights of a product of few rows; what it computes is still to be filled in.
[[nodiscard]] kernels::cuda::SkinnyGemm skinny_of(const DeviceMatrix& w, std::int64_t rows);

}  // namespace lindos::exec::cuda
