// SPDX-License-Identifier: Apache-2.0
// Logits that are no finite numbers end a run: no token can be drawn from them.
#pragma once

#include <cstddef>
#include <string>

#include "exec/model/stage_model.h"
#include "scenarios/dtype.h"
#include "scenarios/error.h"

namespace lindos::exec {

// Of the i-th wanted row of a step. `weights`: what a matrix is multiplied in; `device`: what else may have failed there.
[[nodiscard]] inline Error broken_logits(const StepInput& input, std::size_t i, Dtype weights, const std::string& device) {
  const std::string beyond =
      weights == Dtype::kF16 ? "activations beyond 65504, the largest f16 (dtype = \"bf16\" holds them), " : "";
  return {ErrorKind::kEnvironment, "request " + std::to_string(input.logit_requests[i]),
          "its logits are not finite at position " +
              std::to_string(input.positions[static_cast<std::size_t>(input.logit_rows[i])]) + ": " + beyond + "broken weights" +
              device};
}

}  // namespace lindos::exec
