// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/float_format.h"

#include <bit>
#include <cstring>

#include "scenarios/error.h"

namespace lindos::exec {

static_assert(std::endian::native == std::endian::little,
              "safetensors data is little-endian and is copied without swapping");

float bf16_to_f32(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

float f16_to_f32(std::uint16_t bits) {
  // Exponent and fraction move to their f32 places; one multiplication by 2^112 corrects the bias
  // (127 − 15) and is exact for subnormals too. Infinity and NaN keep an exponent of all ones.
  const std::uint32_t sign = (bits & 0x8000U) << 16U;
  const std::uint32_t magnitude = (bits & 0x7fffU) << 13U;
  std::uint32_t value = std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  if ((bits & 0x7c00U) == 0x7c00U) value = magnitude | 0x7f800000U;
  return std::bit_cast<float>(value | sign);
}

std::uint16_t f32_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffU) > 0x7f800000U) {
    return static_cast<std::uint16_t>((bits >> 16U) |
                                      0x0040U);  // quiet NaN: rounding must not make it infinite
  }
  return static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16U) & 1U)) >> 16U);
}

std::uint16_t f32_to_f16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16U) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return static_cast<std::uint16_t>(sign | 0x7e00U);  // NaN
  if (magnitude >= 0x477ff000U)
    return static_cast<std::uint16_t>(sign | 0x7c00U);  // >= 65,520 rounds up
  if (magnitude < 0x38800000U) {
    // Below 2^-14 a half is a multiple of 2^-24. Adding 0.5 lets the adder round to exactly that
    // grid.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3f000000U));
  }
  const std::uint32_t rounded = magnitude + 0xfffU + ((magnitude >> 13U) & 1U);
  return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000U) >> 13U));
}

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
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = bf16_to_f32(load(i));
  } else {
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = f16_to_f32(load(i));
  }
}

void round_floats(std::span<float> values, Dtype dtype) {
  LINDOS_ASSERT(dtype == Dtype::kF32 || dtype == Dtype::kBf16 || dtype == Dtype::kF16,
                "only float formats are rounded to");
  if (dtype == Dtype::kBf16) {
    for (float& value : values) value = bf16_to_f32(f32_to_bf16(value));
  } else if (dtype == Dtype::kF16) {
    for (float& value : values) value = f16_to_f32(f32_to_f16(value));
  }
}

}  // namespace lindos::exec
