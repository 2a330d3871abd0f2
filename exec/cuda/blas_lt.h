// SPDX-License-Identifier: Apache-2.0
// Y = X · Wᵀ (+ Y) by cuBLASLt, loaded at run time: one binary works on machines without it. bf16 operands, f32
// accumulation. Weights stay as Hugging Face stores them, [n, k] row-major: no copy in another layout.
// tune() times several algorithms for a shape on this device. A shape that nobody tuned takes the algorithm of the next
// larger number of rows that somebody did, where it fits, else the library's first choice.
// Threading: one object per rank thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

#include <cuda_bf16.h>
#include <cuda_runtime_api.h>

#include "exec/cuda/device_buffer.h"

namespace lindos::exec::cuda {

struct BlasGemm {
  const __nv_bfloat16* weights = nullptr;   // [n, k]
  std::int64_t n = 0, k = 0;                // multiples of 8
  const __nv_bfloat16* x = nullptr;         // [m, k], tight
  std::int64_t m = 0;
  void* y = nullptr;                        // [m, n], tight; bf16, or f32 with `logits`
  bool logits = false;
  bool accumulate = false;                  // Y is added to; not with `logits`
};

class BlasLt {
 public:
  // Throws Error{kEnvironment} when the library is missing or too old.
  BlasLt();
  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  void gemm(const BlasGemm& gemm, cudaStream_t stream);
  // Times the library's candidates for this shape on the operands given and keeps the fastest. Writes y. Synchronises.
  void tune(const BlasGemm& gemm, cudaStream_t stream);
  [[nodiscard]] std::size_t workspace_bytes() const { return workspace_.bytes(); }
  [[nodiscard]] std::size_t version() const;   // 130100 = 13.1.0

 private:
  struct Api;
  struct Plan;
  using Key = std::tuple<std::int64_t, std::int64_t, std::int64_t, bool, bool>;   // m, n, k, logits, accumulate
  using Family = std::tuple<std::int64_t, std::int64_t, bool, bool>;            // n, k, logits, accumulate
  Plan& plan_of(const BlasGemm& gemm);
  void adopt_tuned(Plan& plan, const BlasGemm& gemm) const;
  int run(const Plan& plan, const void* algorithm, const BlasGemm& gemm, cudaStream_t stream);

  std::unique_ptr<Api> api_;
  DeviceBuffer workspace_;
  std::map<Key, std::unique_ptr<Plan>> plans_;
  std::map<Family, std::map<std::int64_t, const Plan*>> tuned_;   // by rows
};

}  // namespace lindos::exec::cuda
