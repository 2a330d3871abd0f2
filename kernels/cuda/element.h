// SPDX-License-Identifier: Apache-2.0
// The 16-bit formats of weights, activations and KV on the device. Sums are f32 everywhere.
// A kernel's pointers say Number; the `element` beside them says what its bits mean. One op has one format.
#pragma once

#include <cstdint>

#include "kernels/bf16.h"
#include "kernels/f16.h"

namespace lindos::kernels::cuda {

enum class Element { kBf16, kF16 };

struct Number {
  std::uint16_t bits;
  bool operator==(const Number&) const = default;
};

// Rounded to nearest even; what is beyond the largest f16 (65,504) becomes infinite.
[[nodiscard]] constexpr Number to_number(Element element, float value) {
  return {element == Element::kF16 ? to_f16(value) : to_bf16(value)};
}
[[nodiscard]] constexpr float from_number(Element element, Number number) {
  return element == Element::kF16 ? from_f16(number.bits) : from_bf16(number.bits);
}

}  // namespace lindos::kernels::cuda
