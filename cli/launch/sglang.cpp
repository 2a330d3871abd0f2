// SPDX-License-Identifier: Apache-2.0
// Flags of `python -m sglang.launch_server`, checked against SGLang 0.5.23 by tools/check-exports.
#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "cli/launch/serving_script.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "SGLang";

std::string quantization_of(Dtype dtype) {
  switch (dtype) {
    case Dtype::kFp8:
      return "fp8";
    case Dtype::kFp4:
      return "modelopt_fp4";
    case Dtype::kInt8:
      return "w8a8_int8";
    default:
      return "";
  }
}

Launch launch_for(const LaunchRequest& request, const UniformGroup& shape) {
  const GroupPlan& group = *shape.group;
  const EngineLimits& limits = group.limits;
  const std::string where = in_quotes(group);
  ServingScript script;
  script.tool = kTool;
  script.suffix = "sglang";
  script.command = "python3 -m sglang.launch_server --model-path \"$MODEL\"";
  script.port = 30000;
  auto& flags = script.flags;
  flags.push_back("--host 0.0.0.0 --port \"${PORT:-30000}\"");
  flags.push_back(fmt::format("--tp-size {}", shape.tensor));
  flags.push_back(fmt::format("--pp-size {}", shape.stages));
  if (shape.expert_parallel) flags.push_back(fmt::format("--ep-size {}", shape.tensor));
  if (!shape.even_layers())
    script.preparation.push_back("export SGLANG_PP_LAYER_PARTITION=" + comma_list(shape.layers));
  flags.push_back("--dtype " + torch_name(group.activation_dtype, where));
  if (const std::string quantization = quantization_of(group.weight_dtype); !quantization.empty()) {
    flags.push_back("--quantization " + quantization);
  }
  if (group.kv_dtype == Dtype::kFp8) flags.emplace_back("--kv-cache-dtype fp8_e4m3");
  if (group.kv_dtype == Dtype::kFp4 || group.kv_dtype == Dtype::kInt8) {
    throw Error(
        ErrorKind::kInfeasible, where,
        fmt::format("SGLang keeps no KV cache in {}; nearest: fp8", name_of(group.kv_dtype)));
  }
  // A chunk is what one step computes of prompts; SGLang has no budget shared by prompts and
  // decodes.
  flags.push_back(fmt::format("--chunked-prefill-size {}",
                              std::min(limits.prefill_chunk, limits.max_batched_tokens)));
  flags.push_back(fmt::format("--max-prefill-tokens {}", limits.max_batched_tokens));
  flags.push_back(fmt::format("--max-running-requests {}", limits.max_sequences));
  if (limits.max_context > 0)
    flags.push_back(fmt::format("--context-length {}", limits.max_context));
  flags.push_back(fmt::format("--page-size {}", limits.block_tokens));
  if (!limits.prefix_reuse) flags.emplace_back("--disable-radix-cache");
  if (limits.kv_offload > Bytes{0}) {
    // In whole GB, of each rank.
    const double each = limits.kv_offload.value() / static_cast<double>(group.ranks_per_replica());
    if (each < 1e9) {
      throw Error(ErrorKind::kInfeasible, where,
                  fmt::format("SGLang takes host memory in whole GB for each rank; kv_offload is {:g} GB for each", each / 1e9));
    }
    flags.push_back(fmt::format("--enable-hierarchical-cache --hicache-size {:.0f}", std::floor(each / 1e9)));
  }
  flags.push_back(fmt::format("--mem-fraction-static {:g}", limits.memory_fraction));
  script.notes.emplace_back(
      "--mem-fraction-static counts weights and KV cache, the plan's fraction activations too: "
      "lower it");
  script.notes.emplace_back("by what the engine reports as missing if it runs out of memory.");
  if (limits.kv_blocks > 0)
    flags.push_back(fmt::format("--max-total-tokens {}", limits.kv_blocks * limits.block_tokens));
  if (group.role != Role::kBoth) {
    flags.push_back(fmt::format("--disaggregation-mode {}",
                                group.role == Role::kPrefill ? "prefill" : "decode"));
    script.notes.emplace_back(
        "A router that pairs prefill with decode replicas is not part of this script.");
  }
  if (shape.at.nodes > 1) {
    flags.push_back(
        fmt::format("--nnodes {} --node-rank \"$NODE_RANK\" --dist-init-addr "
                    "\"$MASTER_ADDR:${{MASTER_PORT:-20000}}\"",
                    shape.at.nodes));
  }
  Launch launch = launch_of(request, shape, script);
  launch.image = "lmsysorg/sglang";
  return launch;
}

}  // namespace

std::vector<Launch> launch_sglang(const LaunchRequest& request) {
  return launch_each(request, kTool, launch_for);
}

}  // namespace lindos::cli
