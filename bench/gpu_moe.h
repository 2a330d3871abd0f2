// SPDX-License-Identifier: Apache-2.0
// Experts on the device against two ceilings: each kernel of a layer's experts and the chain of them: up to
// 8 tokens as the engine launches it, beyond without its norm and with the library's first algorithm for the router.
#pragma once

#include <nlohmann/json.hpp>

#include "exec/cuda/device_buffer.h"
#include "kernels/cuda/element.h"

namespace lindos::bench {

// Shapes of Mixtral-8x7B and Qwen3-30B-A3B, 1 to 4,096 tokens. Prints a line per kernel; ceilings in bytes/s and FLOP/s.
[[nodiscard]] nlohmann::ordered_json time_experts(const exec::cuda::Stream& stream, kernels::cuda::Element element, double read_bandwidth,
                                                   double matrix_rate);

}  // namespace lindos::bench
