// SPDX-License-Identifier: Apache-2.0
#include "exec/cuda/products.h"

#include <utility>

#include "kernels/cuda/elementwise.h"

namespace lindos::exec::cuda {

namespace kc = kernels::cuda;

Products::Products(bool fp8, std::int64_t rows, std::int64_t elements, std::shared_ptr<TunedProducts> memory)
    : blas_(std::move(memory)),
      quantised_(fp8 ? static_cast<std::size_t>(elements) : 0), scales_(fp8 ? static_cast<std::size_t>(rows) * sizeof(float) : 0) {}

Operand Products::prepare(bool fp8, const OperandSource& source, kc::Number* wide, const kc::Launch& launch) const {
  if (fp8) {
    kc::QuantiseRows q;
    q.x = source.x;
    q.rows = source.rows;
    q.k = source.k;
    q.input = source.input;
    q.norm = source.norm;
    q.eps = source.eps;
    q.y = quantised_.as<std::uint8_t>();
    q.scales = scales_.as<float>();
    kc::quantise_rows(q, launch);
    return {quantised_.as<void>(), scales_.as<float>()};
  }
  switch (source.input) {
    case kc::QuantiseInput::kPlain: return {source.x, nullptr};
    case kc::QuantiseInput::kNorm:
      kc::rmsnorm(source.element, source.x, nullptr, source.norm, source.eps, source.rows, source.k, wide, launch);
      break;
    case kc::QuantiseInput::kSwiglu: kc::swiglu(source.element, source.x, source.rows, source.k, wide, launch); break;
  }
  return {wide, nullptr};
}

void Products::multiply(const DeviceMatrix& w, const Operand& x, std::int64_t rows, void* y, bool logits, bool accumulate,
                        cudaStream_t stream) {
  blas_.gemm({w.element, w.data, w.n, w.k, x.data, rows, y, logits, accumulate, w.scales, x.scales}, stream);
}

void Products::tune(const DeviceMatrix& w, std::span<const void* const> more_weights, const kc::Number* x, std::int64_t rows,
                    void* y, bool logits, bool accumulate, cudaStream_t stream) {
  OperandSource source;
  source.element = w.element;
  source.x = x;
  source.rows = rows;
  source.k = w.k;
  const Operand operand = prepare(w.fp8(), source, nullptr, {stream, false});
  blas_.tune({w.element, w.data, w.n, w.k, operand.data, rows, y, logits, accumulate, w.scales, operand.scales}, stream, more_weights);
}

kc::SkinnyGemm skinny_of(const DeviceMatrix& w, std::int64_t rows) {
  kc::SkinnyGemm g;
  g.element = w.element;
  g.weights = w.data;
  g.scales = w.scales;
  g.n = w.n;
  g.k = w.k;
  g.ldx = w.k;
  g.m = static_cast<int>(rows);
  g.ldy = w.n;
  return g;
}

}  // namespace lindos::exec::cuda
