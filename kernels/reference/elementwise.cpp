// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference/elementwise.h"

#include <cmath>

namespace lindos::kernels::reference {

void rmsnorm(const float* x, const float* weight, double eps, std::int64_t h, double* y) {
  double squares = 0.0;
  for (std::int64_t i = 0; i < h; ++i) squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  const double root = std::sqrt(squares / static_cast<double>(h) + eps);
  for (std::int64_t i = 0; i < h; ++i) y[i] = static_cast<double>(x[i]) / root * static_cast<double>(weight[i]);
}

void rope(const float* head, std::int64_t d, const float* cos, const float* sin, double* y) {
  const std::int64_t half = d / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const auto a = static_cast<double>(head[i]);
    const auto b = static_cast<double>(head[half + i]);
    const auto c = static_cast<double>(cos[i]);
    const auto s = static_cast<double>(sin[i]);
    y[i] = a * c - b * s;
    y[half + i] = b * c + a * s;
  }
}

void swiglu(const float* gate, const float* up, std::int64_t f, double* y) {
  for (std::int64_t i = 0; i < f; ++i) {
    const auto g = static_cast<double>(gate[i]);
    y[i] = g / (1.0 + std::exp(-g)) * static_cast<double>(up[i]);
  }
}

}  // namespace lindos::kernels::reference
