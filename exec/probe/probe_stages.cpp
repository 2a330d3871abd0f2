// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "exec/probe/probe_parts.h"
#include "exec/probe/stage_bench.h"
#include "exec/runner/rank_worker.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

// One, some and many decodes, and a prompt: the ratio to the sum of the kernels moves while the step turns from
// bound by memory to bound by arithmetic, and little beyond. Attention and GEMM have samples at these very shapes.
constexpr StageShape kShapes[] = {{1, 1, 256}, {4, 1, 64}, {16, 1, 64}, {32, 1, 64}, {1, 128, 0}};

bool engine_runs(const Model& model, const GroupPlan& group) {
  const auto known = [](Dtype dtype) { return dtype == Dtype::kF32 || dtype == Dtype::kBf16; };
  std::string reason;
  return executable(model, reason) && known(group.weight_dtype) && known(group.kv_dtype);
}

}  // namespace

// A stage as samples name it; batch, layers and timing still open.
StageSample ProbeSession::stage_sample(const GroupPlan& group, int stage, int at_once) const {
  StageSample sample;
  sample.weight_dtype = group.weight_dtype;
  sample.kv_dtype = group.kv_dtype;
  sample.hidden = request_->model.hidden;
  sample.head_dim = request_->model.head_dim;
  sample.stages_at_once = at_once;
  const StagePlan& plan = group.stages[static_cast<std::size_t>(stage)];
  for (int r = 0; r < static_cast<int>(plan.ranks.size()); ++r) {
    sample.ranks.push_back(stage_rank(request_->model, group, {stage, r}, threads_of(group, {stage, r}, request_->cores)));
  }
  return sample;
}

void ProbeSession::stages_of(const GroupPlan& group, int stage, int at_once, StageSample sample) {
  const Model& model = request_->model;
  const StagePlan& plan = group.stages[static_cast<std::size_t>(stage)];
  double layer_bytes = 0.0;
  for (const StageRank& rank : sample.ranks) {
    const std::int64_t heads = 2 * rank.q_heads + 2 * rank.kv_heads;
    // One token reads the experts that it chooses, at least.
    const std::int64_t columns =
        model.is_moe() ? std::min<std::int64_t>(model.moe.top_k, rank.experts) * rank.expert_ffn : rank.ffn;
    layer_bytes += static_cast<double>(model.hidden * (heads * model.head_dim + 3 * columns)) * bytes_of(group.weight_dtype);
  }
  // Weights come back after more than any cache holds, as in a step.
  const auto cold = static_cast<std::int64_t>(
      std::ceil(static_cast<double>(cold_bytes()) / (layer_bytes * static_cast<double>(at_once))));
  sample.layers = std::clamp<std::int64_t>(cold, 1, plan.layers.size());
  // Dense layers and those with experts in one stage: a part of it would not hold them in the same proportion.
  const auto unlike_first = [&](std::int64_t l) { return model.is_moe_layer(l) != model.is_moe_layer(plan.layers.begin); };
  for (std::int64_t l = plan.layers.begin; l < plan.layers.end; ++l) {
    if (unlike_first(l)) sample.layers = plan.layers.size();
  }
  std::vector<StageShape> shapes;
  for (const StageShape& shape : kShapes) {
    if (shape.sequences * shape.tokens <= group.limits.max_batched_tokens &&
        shape.sequences <= group.limits.max_sequences && shape.context + shape.tokens <= model.max_positions) {
      shapes.push_back(shape);
    }
  }
  if (shapes.empty()) return;
  const auto bench =
      std::make_shared<StageBench>(model, group, stage, at_once, request_->cores, sample.layers, shapes);
  for (const StageShape& shape : shapes) {
    sample.sequences = shape.sequences;
    sample.tokens = shape.tokens;
    sample.context = shape.context;
    // The task keeps the bench alive through its call.
    add_task(std::shared_ptr<BenchTeam>(bench, &bench->team()), bench->call(shape),
             [this, sample](const Timing& t) mutable {
               sample.time = t.time;
               sample.spread = t.spread;
               profile_->stages.push_back(sample);
             });
  }
}

void ProbeSession::stages() {
  std::vector<StageSample> seen;
  for (const GroupPlan& group : request_->groups) {
    if (!engine_runs(request_->model, group)) continue;
    const auto stages = static_cast<int>(group.stages.size());
    for (int stage = 0; stage < stages; ++stage) {
      for (int at_once = 1; at_once <= stages; ++at_once) {
        const StageSample sample = stage_sample(group, stage, at_once);
        if (std::find(seen.begin(), seen.end(), sample) != seen.end()) continue;
        seen.push_back(sample);
        report("layers", 0.0);
        stages_of(group, stage, at_once, sample);
      }
    }
  }
}

}  // namespace lindos::exec
