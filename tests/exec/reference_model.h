// SPDX-License-Identifier: Apache-2.0
// A decoder in double precision, written from its definition and sharing nothing with the engine but the checkpoint: no cache,
// no packing, no ranks. Dense layers and layers with experts; plain RoPE, full attention, no biases.
#pragma once

#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/scheduler/sequence.h"
#include "scenarios/model.h"

namespace lindos::exec::harness {

struct ReferenceRun {
  std::vector<double> logits;   // of the last position
  // Least distance, over tokens and layers, of the last expert chosen to the first one not: what rounding must not bridge.
  double closest_choice = 1e300;
};
[[nodiscard]] ReferenceRun reference_run(const Model& model, const Checkpoint& checkpoint,
                                         const std::vector<scheduler::TokenId>& prompt);

}  // namespace lindos::exec::harness
