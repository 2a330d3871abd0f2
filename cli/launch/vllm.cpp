// SPDX-License-Identifier: Apache-2.0
// Flags of `vllm serve`, checked against vLLM 0.33.0 by tools/check-exports.
#include <fmt/format.h>

#include "cli/launch/serving_script.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "vLLM";

std::string quantization_of(Dtype dtype, const std::string& where) {
  switch (dtype) {
    case Dtype::kFp8:
      return "fp8";
    case Dtype::kFp4:
      return "modelopt_fp4";
    case Dtype::kInt8:
      throw Error(ErrorKind::kInfeasible, where,
                  "vLLM takes int8 weights from a checkpoint quantised for it only; nearest: fp8");
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
  script.suffix = "vllm";
  script.command = "vllm serve \"$MODEL\"";
  auto& flags = script.flags;
  flags.push_back("--host 0.0.0.0 --port \"${PORT:-8000}\"");
  flags.push_back(fmt::format("--tensor-parallel-size {}", shape.tensor));
  flags.push_back(fmt::format("--pipeline-parallel-size {}", shape.stages));
  if (shape.expert_parallel) flags.emplace_back("--enable-expert-parallel");
  if (!shape.even_layers())
    script.preparation.push_back("export VLLM_PP_LAYER_PARTITION=" + comma_list(shape.layers));
  flags.push_back("--dtype " + torch_name(group.activation_dtype, where));
  if (const std::string quantization = quantization_of(group.weight_dtype, where);
      !quantization.empty()) {
    flags.push_back("--quantization " + quantization);
  }
  if (group.kv_dtype == Dtype::kFp8) flags.emplace_back("--kv-cache-dtype fp8");
  if (group.kv_dtype == Dtype::kFp4 || group.kv_dtype == Dtype::kInt8) {
    throw Error(ErrorKind::kInfeasible, where,
                fmt::format("vLLM keeps no KV cache in {}; nearest: fp8", name_of(group.kv_dtype)));
  }
  flags.push_back(fmt::format("--max-num-batched-tokens {}", limits.max_batched_tokens));
  flags.push_back(fmt::format("--max-num-seqs {}", limits.max_sequences));
  flags.emplace_back("--enable-chunked-prefill");
  if (limits.prefill_chunk < limits.max_batched_tokens) {
    flags.push_back(fmt::format("--long-prefill-token-threshold {}", limits.prefill_chunk));
  }
  if (limits.max_context > 0)
    flags.push_back(fmt::format("--max-model-len {}", limits.max_context));
  flags.push_back(fmt::format("--block-size {}", limits.block_tokens));
  flags.emplace_back(limits.prefix_reuse ? "--enable-prefix-caching" : "--no-enable-prefix-caching");
  if (limits.kv_offload > Bytes{0}) {
    // In GiB, of all ranks together.
    flags.push_back(fmt::format("--kv-offloading-backend native --kv-offloading-size {:g}", limits.kv_offload.value() / 0x1p30));
  }
  flags.push_back(fmt::format("--gpu-memory-utilization {:g}", limits.memory_fraction));
  if (limits.kv_blocks > 0)
    flags.push_back(fmt::format("--num-gpu-blocks-override {}", limits.kv_blocks));
  if (group.role != Role::kBoth) {
    flags.emplace_back(
        "--kv-transfer-config '{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\"}'");
    script.notes.emplace_back(
        "A proxy that sends prompts to the prefill replicas first is not part of this script.");
  }
  if (shape.at.nodes > 1) {
    flags.push_back(fmt::format(
        "--nnodes {} --node-rank \"$NODE_RANK\" --master-addr \"$MASTER_ADDR\"", shape.at.nodes));
    script.preparation.emplace_back(
        "[[ $NODE_RANK == 0 ]] || set -- --headless \"$@\"   # node 0 answers requests");
  }
  Launch launch = launch_of(request, shape, script);
  launch.image = "vllm/vllm-openai";
  return launch;
}

}  // namespace

std::vector<Launch> launch_vllm(const LaunchRequest& request) {
  return launch_each(request, kTool, launch_for);
}

}  // namespace lindos::cli
