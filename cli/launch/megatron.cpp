// SPDX-License-Identifier: Apache-2.0
// Arguments of Megatron-LM's pretrain_gpt.py, as read in megatron/training/arguments.py at revision
// 000c4ac; the layout is checked against the parser of megatron-core by tools/check-exports.
#include <fmt/format.h>

#include "cli/launch/training_job.h"
#include "scenarios/error.h"
#include "scenarios/training_plan.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "Megatron-LM";

[[noreturn]] void refuse(const GroupPlan& group, const std::string& why) {
  throw Error(ErrorKind::kInfeasible, in_quotes(group), why);
}

// One letter per layer, a bar between the chunks in the order of the model: "Ett|tt|ttL".
std::string layout_of(const GroupPlan& group) {
  const int stages = static_cast<int>(group.stages.size());
  std::string layout = "E";
  for (int chunk = 0; chunk < group.training.virtual_stages; ++chunk) {
    for (int stage = 0; stage < stages; ++stage) {
      if (chunk + stage > 0) layout += '|';
      layout.append(static_cast<std::size_t>(chunk_layers(group, stage, chunk).size()), 't');
    }
  }
  return layout + "L";
}

bool even_chunks(const GroupPlan& group) {
  const std::int64_t first = chunk_layers(group, 0, 0).size();
  for (int stage = 0; stage < static_cast<int>(group.stages.size()); ++stage) {
    for (int chunk = 0; chunk < group.training.virtual_stages; ++chunk) {
      if (chunk_layers(group, stage, chunk).size() != first) return false;
    }
  }
  return true;
}

void add_model(const Model& model, const GroupPlan& group, std::vector<std::string>& flags) {
  if (model.mla.kv_lora_rank > 0)
    refuse(group, "latent attention (MLA) is not exported to Megatron-LM");
  if (!model.sliding_window.empty())
    refuse(group, "sliding-window attention is not exported to Megatron-LM");
  flags.push_back(fmt::format("--num-layers {} --hidden-size {} --ffn-hidden-size {}", model.layers,
                              model.hidden, model.ffn > 0 ? model.ffn : model.moe.expert_ffn));
  std::string heads =
      fmt::format("--num-attention-heads {} --kv-channels {}", model.q_heads, model.head_dim);
  if (model.kv_heads != model.q_heads)
    heads += fmt::format(" --group-query-attention --num-query-groups {}", model.kv_heads);
  flags.push_back(heads);
  flags.push_back(
      fmt::format("--tokenizer-type NullTokenizer --vocab-size {} --make-vocab-size-divisible-by 1",
                  model.vocab));
  if (model.learned_positions) {
    flags.emplace_back("--position-embedding-type learned_absolute");
  } else {
    flags.push_back(
        fmt::format("--position-embedding-type rope --rotary-base {:.0f}", model.rope_theta));
    switch (model.rope.kind) {
      case RopeKind::kDefault:
        break;
      case RopeKind::kLinear:
        flags.push_back(
            fmt::format("--rotary-seq-len-interpolation-factor {:g}", model.rope.factor));
        break;
      case RopeKind::kLlama3:
        flags.push_back(
            fmt::format("--use-rope-scaling --rope-scaling-factor {:g}", model.rope.factor));
        break;
      default:
        refuse(group, "dynamic and yarn scaling of positions have no argument of pretrain_gpt.py");
    }
  }
  if (model.gated_ffn)
    flags.push_back(
        fmt::format("--swiglu --normalization RMSNorm --norm-epsilon {:g}", model.rms_eps));
  if (!model.mlp_bias && !model.o_bias) flags.emplace_back("--disable-bias-linear");
  if (model.qkv_bias && !model.o_bias) flags.emplace_back("--add-qkv-bias");
  if (model.qk_norm) flags.emplace_back("--qk-layernorm");
  if (!model.tied_embeddings) flags.emplace_back("--untie-embeddings-and-output-weights");
  if (!model.is_moe()) return;
  if (model.moe.layer_interval != 1 || model.moe.first_dense_layers != 0) {
    std::string pattern;
    for (std::int64_t layer = 0; layer < model.layers; ++layer) {
      const bool moe = layer >= model.moe.first_dense_layers &&
                       (layer - model.moe.first_dense_layers) % model.moe.layer_interval == 0;
      pattern += fmt::format("{}{}", layer > 0 ? "," : "", moe ? 1 : 0);
    }
    flags.push_back(fmt::format("--moe-layer-freq '[{}]'", pattern));
  }
  flags.push_back(fmt::format(
      "--num-experts {} --moe-router-topk {} --moe-ffn-hidden-size {} --moe-grouped-gemm",
      model.moe.experts, model.moe.top_k, model.moe.expert_ffn));
  if (model.moe.shared_ffn > 0)
    flags.push_back(fmt::format("--moe-shared-expert-intermediate-size {}", model.moe.shared_ffn));
}

void add_parallelism(const Model& model, const TrainingJob& job, std::vector<std::string>& flags) {
  const GroupPlan& group = *job.shape.group;
  const TrainingPlan& training = group.training;
  flags.push_back(
      fmt::format("--tensor-model-parallel-size {} --pipeline-model-parallel-size {} "
                  "--context-parallel-size {}",
                  job.shape.tensor, job.shape.stages, training.context_parallel));
  // Replicas are neighbours in the plan; by default those of a stage are.
  if (job.shape.stages > 1 && job.replicas > 1) flags.emplace_back("--use-tp-pp-dp-mapping");
  if (!even_chunks(group)) {
    flags.push_back(fmt::format("--pipeline-model-parallel-layout '{}'", layout_of(group)));
  } else if (training.virtual_stages > 1) {
    flags.push_back(
        fmt::format("--num-virtual-stages-per-pipeline-rank {}", training.virtual_stages));
  }
  if (model.is_moe()) {
    const std::int64_t over_tensor = job.shape.expert_parallel ? job.shape.tensor : 1;
    flags.push_back(fmt::format("--expert-model-parallel-size {} --expert-tensor-parallel-size {}",
                                training.expert_parallel * over_tensor,
                                job.shape.tensor / over_tensor));
  }
  if (training.sequence_parallel) flags.emplace_back("--sequence-parallel");
  if (training.overlap_tensor == TensorOverlap::kTiles) flags.emplace_back("--tp-comm-overlap");
  if (training.zero_stage == 1) flags.emplace_back("--use-distributed-optimizer");
  if (training.zero_stage >= 2) {
    if (job.shape.stages > 1)
      refuse(group,
             "Megatron-LM shards gradients and parameters (FSDP) without a pipeline only; nearest: "
             "zero_stage 1");
    flags.push_back(fmt::format("--use-megatron-fsdp --data-parallel-sharding-strategy {}",
                                training.zero_stage == 2 ? "optim_grads" : "optim_grads_params"));
  }
  if (training.overlap_gradient_reduce && job.replicas * training.context_parallel > 1) {
    flags.emplace_back("--overlap-grad-reduce");
    if (training.overlap_parameter_gather && training.zero_stage >= 1)
      flags.emplace_back("--overlap-param-gather");
  }
  if (training.gradient_dtype == Dtype::kBf16) flags.emplace_back("--grad-reduce-in-bf16");
}

void add_step(const Scenario& scenario, const TrainingJob& job, std::vector<std::string>& flags) {
  const GroupPlan& group = *job.shape.group;
  const TrainingWorkload& workload = scenario.workload.training;
  flags.push_back(
      fmt::format("--seq-length {0} --max-position-embeddings {0} --micro-batch-size {1} "
                  "--global-batch-size {2}",
                  workload.sequence, workload.micro_batch,
                  workload.micro_batch * job.micro_batches * job.replicas));
  switch (workload.recompute) {
    case Recompute::kNone:
      break;
    case Recompute::kSelective:
      flags.emplace_back("--recompute-granularity selective");
      break;
    case Recompute::kFull:
      flags.emplace_back(
          "--recompute-granularity full --recompute-method uniform --recompute-num-layers 1");
      break;
  }
  if (!workload.dropout) flags.emplace_back("--attention-dropout 0 --hidden-dropout 0");
  switch (group.activation_dtype) {
    case Dtype::kF32:
      break;
    case Dtype::kF16:
      flags.emplace_back("--fp16");
      break;
    default:
      flags.emplace_back("--bf16");
      break;
  }
  if (group.weight_dtype == Dtype::kFp8) flags.emplace_back("--fp8-format hybrid");
  if (group.weight_dtype == Dtype::kFp4) flags.emplace_back("--fp4-format e2m1");
  flags.push_back(fmt::format("--attention-backend {}", !group.training.fused_attention ? "unfused"
                                                        : group.training.portable_attention
                                                            ? "flash"
                                                            : "fused"));
  if (group.training.fused_loss) flags.emplace_back("--cross-entropy-loss-fusion");
}

}  // namespace

std::vector<Launch> launch_megatron(const LaunchRequest& request) {
  const Scenario& scenario = request.scenario;
  const TrainingJob job = training_job(scenario, kTool);
  if (scenario.workload.training.frozen_weights)
    refuse(*job.shape.group, "pretrain_gpt.py trains all weights; adapters are not exported");
  std::vector<std::string> flags;
  add_parallelism(scenario.model, job, flags);
  add_step(scenario, job, flags);
  add_model(scenario.model, *job.shape.group, flags);
  std::vector<std::string> preparation;
  if (job.shape.tensor > 1 || job.shape.group->training.context_parallel > 1) {
    preparation.emplace_back(
        "# Orders a layer's messages behind its products on GPUs before Blackwell; Megatron-LM "
        "insists on it.\n"
        "export CUDA_DEVICE_MAX_CONNECTIONS=${CUDA_DEVICE_MAX_CONNECTIONS:-1}");
  }
  return {training_launch(request, job, kTool, "megatron", preparation,
                          "\"${MEGATRON:-.}/pretrain_gpt.py\"", flags)};
}

}  // namespace lindos::cli
