// SPDX-License-Identifier: Apache-2.0
// DeepSpeed's JSON for plans of data parallelism and ZeRO; keys of deepspeed 0.19, checked by
// tools/check-exports.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/launch/training_job.h"
#include "scenarios/error.h"
#include "scenarios/training_plan.h"

namespace lindos::cli {

namespace {

constexpr const char* kTool = "DeepSpeed";

void require_expressible(const Scenario& scenario, const TrainingJob& job) {
  const GroupPlan& group = *job.shape.group;
  const auto refuse = [&](const std::string& what) {
    throw Error(
        ErrorKind::kInfeasible, in_quotes(group),
        fmt::format("DeepSpeed's JSON says data parallelism and ZeRO; {}; nearest: megatron",
                    what));
  };
  if (job.shape.tensor > 1)
    refuse(fmt::format(
        "this plan cuts layers over {} tensor ranks, which the training script would do",
        job.shape.tensor));
  if (job.shape.stages > 1)
    refuse(fmt::format("this plan has {} pipeline stages, which the training script would build",
                       job.shape.stages));
  if (group.training.context_parallel > 1) refuse("this plan has context parallelism");
  if (group.training.expert_parallel > 1)
    refuse("this plan deals experts out, which the model's code would do");
  if (scenario.workload.training.recompute != Recompute::kNone)
    refuse("what is recomputed is decided in the model's code");
  if (group.weight_dtype == Dtype::kFp8 || group.weight_dtype == Dtype::kFp4)
    refuse("products in fp8 or fp4 are made by the model's code");
}

}  // namespace

std::vector<Launch> launch_deepspeed(const LaunchRequest& request) {
  const Scenario& scenario = request.scenario;
  const TrainingJob job = training_job(scenario, kTool);
  require_expressible(scenario, job);
  const GroupPlan& group = *job.shape.group;
  const TrainingWorkload& workload = scenario.workload.training;
  nlohmann::ordered_json config{
      {"train_batch_size", workload.micro_batch * job.micro_batches * job.replicas},
      {"train_micro_batch_size_per_gpu", workload.micro_batch},
      {"gradient_accumulation_steps", job.micro_batches},
      {"bf16", {{"enabled", group.activation_dtype == Dtype::kBf16}}},
      {"fp16", {{"enabled", group.activation_dtype == Dtype::kF16}}},
      {"communication_data_type", group.training.gradient_dtype == Dtype::kBf16 ? "bf16" : "fp32"},
      {"zero_optimization",
       {{"stage", group.training.zero_stage},
        {"overlap_comm", group.training.overlap_gradient_reduce}}},
  };
  const std::string name = job.at.slug + ".deepspeed.json";
  Launch launch = training_launch(
      request, job, kTool, "deepspeed",
      {": \"${TRAIN:?set TRAIN to your training script, which calls deepspeed.initialize}\""},
      "\"$TRAIN\"", {"--deepspeed --deepspeed_config \"$(dirname \"$0\")/" + name + "\""});
  launch.files.push_back({name, config.dump(2) + "\n", false});
  return {launch};
}

}  // namespace lindos::cli
