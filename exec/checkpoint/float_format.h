// SPDX-License-Identifier: Apache-2.0
// Stored number formats ↔ f32, bit by bit and alike on every platform. Rounding is to nearest, ties
// to even.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "scenarios/dtype.h"

namespace lindos::exec {

[[nodiscard]] float bf16_to_f32(std::uint16_t bits);
[[nodiscard]] float f16_to_f32(std::uint16_t bits);
[[nodiscard]] std::uint16_t f32_to_bf16(float value);
[[nodiscard]] std::uint16_t f32_to_f16(float value);  // overflow gives infinity

// Decodes out.size() little-endian values of f32, f16 or bf16 at `data`, which need not be aligned.
// REQUIRES: `data` holds out.size() × bytes_of(dtype) bytes; dtype is one of the three.
void decode_floats(const std::byte* data, Dtype dtype, std::span<float> out);

// Replaces each value by the nearest one that `dtype` (f32, f16 or bf16) can hold.
void round_floats(std::span<float> values, Dtype dtype);

}  // namespace lindos::exec
