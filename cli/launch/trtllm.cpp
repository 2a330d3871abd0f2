// SPDX-License-Identifier: Apache-2.0
// Options of `trtllm-serve` (PyTorch backend) and its YAML. TensorRT-LLM is not on PyPI for every
// platform; the options were read in tensorrt_llm/commands/serve.py at revision 00209af.
#include <cmath>

#include <fmt/format.h>

#include "cli/launch/serving_script.h"
#include "scenarios/error.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "TensorRT-LLM";

// TensorRT-LLM gives one layer more to each of the first stages when they do not divide.
std::vector<std::int64_t> own_layers(std::int64_t layers, std::int64_t stages) {
  std::vector<std::int64_t> out;
  for (std::int64_t s = 0; s < stages; ++s)
    out.push_back(layers / stages + (s < layers % stages ? 1 : 0));
  return out;
}

void require_expressible(const Scenario& scenario, const UniformGroup& shape,
                         const std::string& where) {
  const GroupPlan& group = *shape.group;
  if (const auto own = own_layers(scenario.model.layers, shape.stages); own != shape.layers) {
    throw Error(ErrorKind::kInfeasible, where,
                fmt::format("TensorRT-LLM deals layers out by itself; the plan's stages hold {}; "
                            "nearest: {}, or vllm or sglang, which "
                            "take a partition",
                            comma_list(shape.layers), comma_list(own)));
  }
  if (group.role != Role::kBoth) {
    throw Error(ErrorKind::kInfeasible, where,
                "prefill and decode apart need TensorRT-LLM's own disaggregation file with the "
                "addresses of all servers; nearest: "
                "role \"both\", or vllm or sglang");
  }
  if (group.weight_dtype == Dtype::kInt8 || group.kv_dtype == Dtype::kInt8 ||
      group.kv_dtype == Dtype::kFp4) {
    throw Error(ErrorKind::kInfeasible, where,
                "int8 weights and a KV cache in int8 or fp4 are not exported; nearest: fp8");
  }
}

Launch launch_for(const LaunchRequest& request, const UniformGroup& shape) {
  const GroupPlan& group = *shape.group;
  const EngineLimits& limits = group.limits;
  const std::string where = in_quotes(group);
  require_expressible(request.scenario, shape, where);
  const std::string config = shape.at.slug + ".trtllm.yaml";
  ServingScript script;
  script.tool = kTool;
  script.suffix = "trtllm";
  script.command = shape.at.nodes > 1 ? "trtllm-llmapi-launch trtllm-serve \"$MODEL\""
                                      : "trtllm-serve \"$MODEL\"";
  auto& flags = script.flags;
  flags.push_back("--host 0.0.0.0 --port \"${PORT:-8000}\" --backend pytorch");
  flags.push_back(fmt::format("--tp_size {} --pp_size {}", shape.tensor, shape.stages));
  if (shape.expert_parallel) flags.push_back(fmt::format("--ep_size {}", shape.tensor));
  flags.push_back(fmt::format("--gpus_per_node {}", shape.at.node_devices));
  flags.push_back(fmt::format("--max_num_tokens {}", limits.max_batched_tokens));
  flags.push_back(fmt::format("--max_batch_size {}", limits.max_sequences));
  if (limits.max_context > 0) flags.push_back(fmt::format("--max_seq_len {}", limits.max_context));
  flags.push_back("--config \"$(dirname \"$0\")/" + config + "\"");
  if (group.weight_dtype == Dtype::kFp8 || group.weight_dtype == Dtype::kFp4) {
    script.notes.push_back(
        fmt::format("Weights in {}: MODEL must be a checkpoint quantised so; TensorRT-LLM reads "
                    "the format there.",
                    name_of(group.weight_dtype)));
  }
  script.over_mpi = shape.at.nodes > 1;
  if (script.over_mpi)
    script.notes.emplace_back("Ranks start over MPI (srun or mpirun, one process per device).");
  std::string yaml = fmt::format(
      "# Options of group \"{}\"; written by `lindos export`.\nenable_chunked_prefill: "
      "true\ndtype: {}\n"
      "kv_cache_config:\n  tokens_per_block: {}\n  enable_block_reuse: {}\n",
      group.name, torch_name(group.activation_dtype, where), limits.block_tokens, limits.prefix_reuse);
  if (limits.kv_offload > Bytes{0}) {
    // In bytes, of each rank.
    yaml += fmt::format("  host_cache_size: {:.0f}\n",
                        std::floor(limits.kv_offload.value() / static_cast<double>(group.ranks_per_replica())));
  }
  if (group.kv_dtype == Dtype::kFp8) yaml += "  dtype: fp8\n";
  if (limits.kv_blocks > 0) {
    yaml += fmt::format("  max_tokens: {}\n", limits.kv_blocks * limits.block_tokens);
  } else {
    yaml += fmt::format(
        "  # Of what is free beside the weights; the plan's {:g} counts them too.\n  "
        "free_gpu_memory_fraction: {:g}\n",
        limits.memory_fraction, limits.memory_fraction);
  }
  Launch launch = launch_of(request, shape, script);
  launch.files.push_back({config, yaml, false});
  if (shape.at.nodes > 1) launch.tasks_per_node = shape.at.node_devices;
  return launch;
}

}  // namespace

std::vector<Launch> launch_trtllm(const LaunchRequest& request) {
  return launch_each(request, kTool, launch_for);
}

}  // namespace lindos::cli
