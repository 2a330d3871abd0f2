// SPDX-License-Identifier: Apache-2.0
// Stored number formats ↔ f32, bit by bit and alike on every platform. Rounding is to nearest, ties
// to even.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "scenarios/dtype.h"

namespace lindos::exec {

// Decodes out.size() little-endian values of f32, f16 or bf16 at `data`, which need not be aligned.
// REQUIRES: `data` holds out.size() × bytes_of(dtype) bytes; dtype is one of the three.
void decode_floats(const std::byte* data, Dtype dtype, std::span<float> out);

// Throws Error{kInput}, opened by `where`, when one of the values is finite and would be infinite in `dtype` (f16 holds up to
// 65,504).
void require_range(std::span<const float> values, Dtype dtype, const std::string& where);

// Replaces each value by the nearest one that `dtype` (f32, f16 or bf16) can hold.
void round_floats(std::span<float> values, Dtype dtype);

}  // namespace lindos::exec
