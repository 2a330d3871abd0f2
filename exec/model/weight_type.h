// SPDX-License-Identifier: Apache-2.0
// Which of a plan's number formats the CPU kernels hold.
#pragma once

#include <optional>
#include <string>

#include "kernels/gemm.h"
#include "scenarios/dtype.h"
#include "scenarios/error.h"

namespace lindos::exec {

[[nodiscard]] constexpr std::optional<kernels::WeightType> find_weight_type(Dtype dtype) {
  switch (dtype) {
    case Dtype::kF32: return kernels::WeightType::kF32;
    case Dtype::kBf16: return kernels::WeightType::kBf16;
    case Dtype::kF16: return kernels::WeightType::kF16;
    case Dtype::kFp8:
    case Dtype::kFp4:
    case Dtype::kInt8: break;
  }
  return std::nullopt;
}

// `what`: "weight dtype", "KV dtype"; `where` opens the message.
[[nodiscard]] inline kernels::WeightType weight_type_or_throw(Dtype dtype, const std::string& what, const std::string& where) {
  if (const auto type = find_weight_type(dtype)) return *type;
  throw Error(ErrorKind::kInput, where,
              what + " " + std::string(name_of(dtype)) + " does not run on the CPU; known: f32, bf16, f16");
}

}  // namespace lindos::exec
