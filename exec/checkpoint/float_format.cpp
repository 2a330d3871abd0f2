// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/float_format.h"

#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "scenarios/error.h"

namespace lindos::exec {

static_assert(std::endian::native == std::endian::little,
              "safetensors data is little-endian and is copied without swapping");

void decode_floats(const std::byte* data, Dtype dtype, std::span<float> out) {
  if (out.empty()) return;
  if (dtype == Dtype::kF32) {
    std::memcpy(out.data(), data, out.size_bytes());
    return;
  }
  LINDOS_ASSERT(dtype == Dtype::kBf16 || dtype == Dtype::kF16, "only float formats are decoded");
  const auto load = [data](std::size_t i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, data + 2 * i, sizeof bits);
    return bits;
  };
  if (dtype == Dtype::kBf16) {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = kernels::from_bf16(load(i));
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = kernels::from_f16(load(i));
  }
}

void require_range(std::span<const float> values, Dtype dtype, const std::string& where) {
  if (dtype != Dtype::kF16) return;
  for (const float value : values) {
    if (!std::isfinite(value) || std::isfinite(kernels::from_f16(kernels::to_f16(value)))) continue;
    throw Error(ErrorKind::kInput, where,
                fmt::format("{} is beyond f16, whose largest number is 65504; dtype = \"bf16\" holds it", value));
  }
}

void round_floats(std::span<float> values, Dtype dtype) {
  LINDOS_ASSERT(dtype == Dtype::kF32 || dtype == Dtype::kBf16 || dtype == Dtype::kF16,
                "only float formats are rounded to");
  if (dtype == Dtype::kBf16) {
    for (float& value : values) value = kernels::from_bf16(kernels::to_bf16(value));
  } else if (dtype == Dtype::kF16) {
    for (float& value : values) value = kernels::from_f16(kernels::to_f16(value));
  }
}

}  // namespace lindos::exec
