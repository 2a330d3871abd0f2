// SPDX-License-Identifier: Apache-2.0
#define LINDOS_ISA avx2

#include "kernels/cpu/attention_kernel.h"
#include "kernels/cpu/gemm_kernel.h"
#include "kernels/cpu/row_kernels.h"
#include "kernels/cpu/table.h"

namespace lindos::kernels {

const KernelTable kAvx2Kernels = {
    "avx2",
    LINDOS_ISA::kTileRows,
    LINDOS_ISA::gemm_part<LINDOS_ISA::F32Weights>,
    LINDOS_ISA::gemm_part<LINDOS_ISA::Bf16Weights>,
    LINDOS_ISA::gemm_part<LINDOS_ISA::F16Weights>,
    LINDOS_ISA::attention_part,
    LINDOS_ISA::attention_merge_part,
    LINDOS_ISA::rmsnorm_row,
    LINDOS_ISA::rope_head,
    LINDOS_ISA::swiglu_row,
    LINDOS_ISA::add_row,
    LINDOS_ISA::scaled_add_row,
    LINDOS_ISA::largest_of,
    LINDOS_ISA::read_sum_of,
};

}  // namespace lindos::kernels
