// SPDX-License-Identifier: Apache-2.0
// Number formats of weights, activations and KV cache.
#pragma once

#include <optional>
#include <string_view>

namespace lindos {

enum class Dtype { kF32, kF16, kBf16, kFp8, kFp4, kInt8 };

[[nodiscard]] constexpr double bytes_of(Dtype d) {
  switch (d) {
    case Dtype::kF32: return 4.0;
    case Dtype::kF16:
    case Dtype::kBf16: return 2.0;
    case Dtype::kFp8:
    case Dtype::kInt8: return 1.0;
    case Dtype::kFp4: return 0.5;
  }
  return 0.0;
}

// Spelling in files: "f32", "f16", "bf16", "fp8", "fp4", "int8".
[[nodiscard]] constexpr std::string_view name_of(Dtype d) {
  switch (d) {
    case Dtype::kF32: return "f32";
    case Dtype::kF16: return "f16";
    case Dtype::kBf16: return "bf16";
    case Dtype::kFp8: return "fp8";
    case Dtype::kFp4: return "fp4";
    case Dtype::kInt8: return "int8";
  }
  return "";
}

[[nodiscard]] constexpr std::optional<Dtype> find_dtype(std::string_view name) {
  for (Dtype d : {Dtype::kF32, Dtype::kF16, Dtype::kBf16, Dtype::kFp8, Dtype::kFp4, Dtype::kInt8}) {
    if (name_of(d) == name) return d;
  }
  return std::nullopt;
}

}  // namespace lindos
