// SPDX-License-Identifier: Apache-2.0
// Plain twin of kernels/gemm.h in double.
#pragma once

#include <cstdint>

namespace lindos::kernels::reference {

// x [m, k] (row stride ldx), w [n, k] tight -> y [m, n] tight: x W^T.
void gemm(const float* w, std::int64_t n, std::int64_t k, const float* x, std::int64_t ldx, std::int64_t m,
          double* y);

}  // namespace lindos::kernels::reference
