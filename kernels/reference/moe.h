// SPDX-License-Identifier: Apache-2.0
// Plain twin of kernels/moe.h in double, one token: sort all experts, take the first.
#pragma once

#include <cstdint>
#include <vector>

namespace lindos::kernels::reference {

struct Choice {
  std::int32_t expert = 0;
  double weight = 0.0;
};
// Of logits [experts] the top_k largest, ties to the lower id, in ascending order of experts.
[[nodiscard]] std::vector<Choice> route(const float* logits, std::int64_t experts, std::int64_t top_k, bool normalise);

}  // namespace lindos::kernels::reference
