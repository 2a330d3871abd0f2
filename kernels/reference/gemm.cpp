// SPDX-License-Identifier: Apache-2.0
#include "kernels/reference/gemm.h"

namespace lindos::kernels::reference {

void gemm(const float* w, std::int64_t n, std::int64_t k, const float* x, std::int64_t ldx, std::int64_t m,
          double* y) {
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0.0;
      for (std::int64_t kk = 0; kk < k; ++kk) {
        sum += static_cast<double>(x[i * ldx + kk]) * static_cast<double>(w[j * k + kk]);
      }
      y[i * n + j] = sum;
    }
  }
}

}  // namespace lindos::kernels::reference
