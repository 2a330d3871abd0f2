// SPDX-License-Identifier: Apache-2.0
// Where each family keeps the tensors of a layer with experts, under their Hugging Face names, and whose experts the
// engine computes: those of families whose router is a softmax over all experts, of which top_k are taken and, as
// Moe::normalise_top_k says, renormalised (kernels/moe.h). Used by the tensor list, synthetic weights and both engines.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/model.h"

namespace lindos::exec {

struct FfnNames {
  std::string gate;  // [width, hidden]
  std::string up;    // [width, hidden]
  std::string down;  // [hidden, width]
};

struct MoeNames {
  std::string router;             // [experts, hidden]
  std::vector<FfnNames> experts;  // [experts], of width expert_ffn
  FfnNames shared;                // of width shared_ffn, all shared experts in one; named even where a model has none
};

// Why the engine cannot compute the model's experts ("the experts of GptOssForCausalLM; known: …"); nothing for dense models and
// families it knows.
[[nodiscard]] std::optional<std::string> unsupported_experts(const Model& model);

// REQUIRES: model.is_moe_layer(layer) and no unsupported_experts(model).
[[nodiscard]] MoeNames moe_names(const Model& model, std::int64_t layer);

}  // namespace lindos::exec
