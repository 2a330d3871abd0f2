// SPDX-License-Identifier: Apache-2.0
// The Hopper path of attention_prefill, apart because it needs the sm_90a target and the driver's tensor maps.
#pragma once

#include "kernels/cuda/attention.h"

namespace lindos::kernels::cuda {

// False, and nothing launched, where it does not apply: another architecture, heads of another size, an old driver.
[[nodiscard]] bool hopper_prefill(const PrefillAttention& attention, const Launch& launch);

}  // namespace lindos::kernels::cuda
