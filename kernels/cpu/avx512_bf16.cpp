// SPDX-License-Identifier: Apache-2.0
// The processor's own product of bf16 pairs; all else of such a CPU is avx512's (table.cpp).
#define LINDOS_ISA avx512_bf16

#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/table.h"

namespace lindos::kernels {

void avx512_bf16_gemm(const GemmPart& part) { LINDOS_ISA::gemm_part<LINDOS_ISA::Bf16Weights>(part); }

}  // namespace lindos::kernels
