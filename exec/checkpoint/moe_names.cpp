// SPDX-License-Identifier: Apache-2.0
#include "exec/checkpoint/moe_names.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

struct Family {
  std::string_view architecture;
  std::string_view block;  // of the layer
  std::string_view gate, up, down;
  std::string_view shared;  // of the block; empty: the family has no shared experts
};
// modeling_mixtral.py and modeling_qwen3_moe.py of transformers; modeling_deepseek.py of deepseek-ai/deepseek-moe-16b-base.
constexpr std::array<Family, 3> kFamilies{{
    {"MixtralForCausalLM", "block_sparse_moe", "w1", "w3", "w2", ""},
    {"Qwen3MoeForCausalLM", "mlp", "gate_proj", "up_proj", "down_proj", ""},
    {"DeepseekForCausalLM", "mlp", "gate_proj", "up_proj", "down_proj", "shared_experts"},
}};

const Family* find_family(const std::string& architecture) {
  const auto* found = std::find_if(kFamilies.begin(), kFamilies.end(),
                                   [&](const Family& f) { return f.architecture == architecture; });
  return found == kFamilies.end() ? nullptr : found;
}

FfnNames ffn_names(const Family& family, const std::string& at) {
  const auto named = [&](std::string_view matrix) { return fmt::format("{}.{}.weight", at, matrix); };
  return {named(family.gate), named(family.up), named(family.down)};
}

}  // namespace

std::optional<std::string> unsupported_experts(const Model& model) {
  if (!model.is_moe()) return std::nullopt;
  const Family* family = find_family(model.architecture);
  if (family == nullptr) {
    std::vector<std::string_view> known;
    for (const Family& f : kFamilies) known.push_back(f.architecture);
    return fmt::format("the experts of {} (known: {})",
                       model.architecture.empty() ? "an unnamed architecture" : model.architecture, fmt::join(known, ", "));
  }
  if (model.moe.shared_ffn > 0 && family->shared.empty()) {
    return fmt::format("shared experts in {}, which has none", family->architecture);
  }
  if (model.mlp_bias) return "experts with biases";
  return std::nullopt;
}

MoeNames moe_names(const Model& model, std::int64_t layer) {
  const Family* family = find_family(model.architecture);
  LINDOS_ASSERT(family != nullptr, "the architecture's experts have names");
  const std::string block = fmt::format("model.layers.{}.{}", layer, family->block);
  MoeNames names;
  names.router = block + ".gate.weight";
  for (int e = 0; e < model.moe.experts; ++e) {
    names.experts.push_back(ffn_names(*family, fmt::format("{}.experts.{}", block, e)));
  }
  names.shared = ffn_names(*family, fmt::format("{}.{}", block, family->shared));
  return names;
}

}  // namespace lindos::exec
