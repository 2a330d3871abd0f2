// SPDX-License-Identifier: Apache-2.0
// Y = X · Wᵀ (+ Y) by cuBLASLt, loaded at run time: one binary works on machines without it. Operands bf16 or f16, or FP8
// E4M3 with a scale per row of each (compute capability 9.0), f32 accumulation; FP8 products accumulate as the tensor cores do
// by themselves ("fast"), some 14 bits of each sum. Weights stay as Hugging Face stores them, [n, k] row-major: no copy in
// another layout.
// tune() times several algorithms for a shape on this device, unless an earlier start of the same library on the same kind of
// device did. A shape that nobody tuned takes the algorithm of the next
// larger number of rows that somebody did, where it fits, else the library's first choice.
// Threading: one object per rank thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <utility>

#include <cuda_runtime_api.h>

#include "exec/cuda/device_buffer.h"
#include "exec/runner/tuned_products.h"
#include "kernels/cuda/element.h"
#include "scenarios/tuned_product.h"

namespace lindos::exec::cuda {

struct BlasGemm {
  Element element = Element::kBf16;         // of y, and without scales of weights and x; with them bf16
  const void* weights = nullptr;            // [n, k]
  std::int64_t n = 0, k = 0;                // multiples of 8; FP8: 16
  const void* x = nullptr;                  // [m, k], tight
  std::int64_t m = 0;
  void* y = nullptr;                        // [m, n], tight; f32 with `logits`
  bool logits = false;
  bool accumulate = false;                  // Y is added to; not with `logits`
  // Both or none. Given: weights and x are E4M3, row r of each stands for scale[r] · row.
  const float* weight_scales = nullptr;     // [n]
  const float* x_scales = nullptr;          // [m]
  [[nodiscard]] bool fp8() const { return weight_scales != nullptr; }
  [[nodiscard]] Dtype operands() const {
    return fp8() ? Dtype::kFp8 : element == Element::kF16 ? Dtype::kF16 : Dtype::kBf16;
  }
};

class BlasLt {
 public:
  // `memory`: of timings, shared by ranks; nothing: each is made anew. Throws Error{kEnvironment} when the library is missing
  // or too old.
  explicit BlasLt(std::shared_ptr<TunedProducts> memory = nullptr);
  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  void gemm(const BlasGemm& gemm, cudaStream_t stream);
  // Keeps the algorithm that the memory has for this shape, else times the library's candidates on the operands given and keeps
  // the fastest. Writes y. Synchronises.
  // `more_weights`, if given: matrices of the shape (the scales stay) to take in turns, so that none is found in L2, as in a
  // step through many layers.
  void tune(const BlasGemm& gemm, cudaStream_t stream, std::span<const void* const> more_weights = {});
  [[nodiscard]] std::size_t workspace_bytes() const { return workspace_.bytes(); }
  [[nodiscard]] std::size_t version() const;   // 130100 = 13.1.0

 private:
  struct Api;
  struct Plan;
  using Family = std::tuple<std::int64_t, std::int64_t, bool, bool, Dtype>;   // n, k, logits, accumulate, operands
  using Key = std::pair<Family, std::int64_t>;                                 // with the rows
  [[nodiscard]] static Family family_of(const BlasGemm& gemm);
  Plan& plan_of(const BlasGemm& gemm);
  void set_scales(const Plan& plan, const BlasGemm& gemm);
  void adopt_tuned(Plan& plan, const BlasGemm& gemm) const;
  // Puts the algorithm first, if it can do this product.
  bool prefer(Plan& plan, const void* algorithm) const;
  [[nodiscard]] static ProductShape shape_of(const BlasGemm& gemm);
  int run(const Plan& plan, const void* algorithm, const BlasGemm& gemm, cudaStream_t stream);

  std::unique_ptr<Api> api_;
  std::shared_ptr<TunedProducts> memory_;
  ProductPlace place_;
  DeviceBuffer workspace_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
  std::map<Family, std::map<std::int64_t, const Plan*>> tuned_;   // by rows
};

}  // namespace lindos::exec::cuda
