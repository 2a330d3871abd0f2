// SPDX-License-Identifier: Apache-2.0
#include "tests/exec/engine_harness.h"

#include <algorithm>
#include <utility>

namespace lindos::exec::harness {

std::vector<Layout> all_layouts() {
  return {
      {"Single", {1}, {1}, KvSplit::kReplicate},
      {"Tensor2Even", {1, 1}, {1}, KvSplit::kReplicate},
      {"Tensor2Uneven", {2, 1}, {1}, KvSplit::kReplicate},
      {"Tensor2WholeGroups", {1, 1}, {1}, KvSplit::kWholeGroups},
      {"Tensor3Uneven", {3, 2, 1}, {1}, KvSplit::kReplicate},
      {"Tensor8WithIdleRanks", {1, 1, 1, 1, 1, 1, 1, 1}, {1}, KvSplit::kWholeGroups},
      {"Pipeline2", {1}, {1, 1}, KvSplit::kReplicate},
      {"Tensor2Pipeline2", {1, 1}, {1, 1}, KvSplit::kReplicate},
      {"Tensor2UnevenPipeline2", {1, 3}, {1, 1}, KvSplit::kReplicate},
  };
}

EngineLimits small_limits() {
  EngineLimits limits;
  limits.max_batched_tokens = 64;
  limits.prefill_chunk = 64;
  limits.max_sequences = 8;
  return limits;
}

EngineConfig make_config(const Model& model, std::shared_ptr<const Checkpoint> checkpoint,
                         const Layout& layout, Dtype dtype) {
  EngineConfig config;
  config.model = model;
  config.group = make_plan(model, "cpu", static_cast<int>(layout.stage_weights.size()), layout.tensor_weights,
                           layout.stage_weights, dtype, small_limits(), kCpuGranule, layout.kv_split)
                     .groups.front();
  config.checkpoint = std::move(checkpoint);
  config.kv_blocks = 64;
  return config;
}

Model tiny_model() {
  Model model;
  model.name = "tiny";
  model.architecture = "LlamaForCausalLM";
  model.hidden = 80;
  model.layers = 3;
  model.q_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 16;
  model.ffn = 112;
  model.vocab = 200;
  model.max_positions = 256;
  model.dtype = Dtype::kF32;
  return model;
}

Model tiny_moe_model() {
  Model model = tiny_model();
  model.name = "tiny-moe";
  model.architecture = "DeepseekForCausalLM";
  model.moe = {.experts = 6, .top_k = 2, .expert_ffn = 48, .shared_experts = 1, .shared_ffn = 32, .first_dense_layers = 1};
  return model;
}

EngineConfig tiny_config(const Layout& layout) {
  const Model model = tiny_model();
  return make_config(model, make_synthetic(model, 7, Dtype::kF32), layout);
}

Tokens make_prompt(std::int64_t count, std::uint64_t salt, std::int64_t vocab) {
  RequestSpec request;
  request.id = salt;
  request.prompt_tokens = count;
  return synthetic_prompt(request, 11, vocab);
}

EngineRun Engine::serve(const std::vector<Tokens>& prompts, std::int64_t new_tokens) {
  std::vector<RequestSpec> requests;
  for (const Tokens& prompt : prompts) {
    requests.push_back({requests.size(), Seconds{0}, static_cast<std::int64_t>(prompt.size()), new_tokens});
  }
  RunOptions options;
  options.prompt = [&](const RequestSpec& request) { return prompts.at(request.id); };
  return replica_->run(requests, options);
}

Tokens Engine::generate(const Tokens& prompt, std::int64_t new_tokens) {
  return serve({prompt}, new_tokens).outcome.outputs.front();
}

std::vector<std::vector<float>> Engine::last_logits() {
  const std::vector<RankPlan>& ranks = config_.group.stages.back().ranks;
  const auto first = static_cast<std::size_t>(config_.group.ranks_per_replica()) - ranks.size();
  std::vector<std::vector<float>> rows;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const std::span<const float> part = replica_->worker(first + r).last_logits();
    const auto width = static_cast<std::size_t>(ranks[r].share.vocab.size());
    if (width == 0) continue;
    rows.resize(std::max(rows.size(), part.size() / width));
    for (std::size_t i = 0; i < part.size() / width; ++i) {
      const auto row = part.subspan(i * width, width);
      rows[i].insert(rows[i].end(), row.begin(), row.end());
    }
  }
  return rows;
}

}  // namespace lindos::exec::harness
