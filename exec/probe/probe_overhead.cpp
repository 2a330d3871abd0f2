// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <vector>

#include "exec/probe/probe_parts.h"
#include "exec/runner/replica.h"
#include "scenarios/balance.h"

namespace lindos::exec {

// The vocabulary is the real one, since choosing a token reads all its logits.
Model tiny_model(std::int64_t vocab) {
  Model model;
  model.name = "tiny";
  model.architecture = "LlamaForCausalLM";
  model.hidden = 64;
  model.layers = 1;
  model.q_heads = 1;
  model.kv_heads = 1;
  model.head_dim = 64;
  model.ffn = 64;
  model.vocab = vocab;
  model.max_positions = 512;
  model.tied_embeddings = true;
  return model;
}

namespace {

// Seconds per decode step outside the priced kernels, token choice included, with `sequences` running.
double overhead_per_step(std::int64_t sequences, std::int64_t vocab) {
  const Model model = tiny_model(vocab);
  EngineLimits limits;
  limits.max_batched_tokens = 64;
  limits.max_sequences = 32;
  EngineConfig config;
  config.model = model;
  config.group = make_plan(model, "cpu", 1, {1.0}, {1.0}, Dtype::kF32, limits, 16).groups.front();
  config.group.kv_dtype = Dtype::kF32;
  config.checkpoint = make_synthetic(model, 1, Dtype::kF32);
  config.kv_blocks = 32 * 32;
  config.cores = 1;
  auto replica = Replica::in_process(config);
  std::vector<RequestSpec> requests;
  for (std::int64_t i = 0; i < sequences; ++i) {
    requests.push_back({static_cast<std::uint64_t>(i), Seconds{0}, 1, 64});
  }
  RunOptions options;
  options.prompt = [&](const RequestSpec& r) { return synthetic_prompt(r, 1, model.vocab); };
  (void)replica->run(requests, options);
  const EngineRun run = replica->run(requests, options);
  double kernels = 0.0;
  for (std::size_t f = 0; f < kOpFamilies; ++f) {
    if (static_cast<OpFamily>(f) != OpFamily::kSample) kernels += run.ranks.front().family_s[f];
  }
  return (run.wall.count() - kernels) / static_cast<double>(run.steps.size());
}

}  // namespace

void ProbeSession::step_overhead() {
  report("step overhead", 0.97);
  constexpr int kRepeats = 5;
  constexpr std::int64_t kMany = 32;
  std::vector<double> one, many;
  for (int i = 0; i < kRepeats; ++i) {
    one.push_back(overhead_per_step(1, request_->model.vocab));
    many.push_back(overhead_per_step(kMany, request_->model.vocab));
  }
  std::sort(one.begin(), one.end());
  std::sort(many.begin(), many.end());
  const double single = one[kRepeats / 2];
  const double each = std::max(0.0, (many[kRepeats / 2] - single) / static_cast<double>(kMany - 1));
  profile_->step_overhead = Seconds{std::max(0.0, single - each)};
  profile_->per_sequence_overhead = Seconds{each};
  profile_->step_overhead_spread = std::log(one[kRepeats - 1] / one[0]) / 2.0;
}

}  // namespace lindos::exec
