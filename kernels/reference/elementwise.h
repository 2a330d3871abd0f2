// SPDX-License-Identifier: Apache-2.0
// Plain twins of kernels/elementwise.h in double, one row each.
#pragma once

#include <cstdint>

namespace lindos::kernels::reference {

void rmsnorm(const float* x, const float* weight, double eps, std::int64_t h, double* y);
// One head of width d; cos and sin [d / 2] of the row's position.
void rope(const float* head, std::int64_t d, const float* cos, const float* sin, double* y);
void swiglu(const float* gate, const float* up, std::int64_t f, double* y);

}  // namespace lindos::kernels::reference
