// SPDX-License-Identifier: Apache-2.0
// A replica on threads for tests: a layout in one line, prompts in, tokens and whole rows of logits out.
#pragma once

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "exec/checkpoint/checkpoint.h"
#include "exec/runner/replica.h"
#include "scenarios/balance.h"

namespace lindos::exec::harness {

using Tokens = std::vector<scheduler::TokenId>;

// How a model is cut: weights are relative speeds, one per rank or stage.
struct Layout {
  std::string name = "Single";
  std::vector<double> tensor_weights = {1.0};
  std::vector<double> stage_weights = {1.0};
  KvSplit kv_split = KvSplit::kReplicate;
};
inline void PrintTo(const Layout& layout, std::ostream* out) { *out << layout.name; }
// Even and uneven, ranks without attention or FFN, pipeline, both. For models of at least two layers.
[[nodiscard]] std::vector<Layout> all_layouts();

// 64 tokens per step, chunks of 64, 8 sequences.
[[nodiscard]] EngineLimits small_limits();
[[nodiscard]] EngineConfig make_config(const Model& model, std::shared_ptr<const Checkpoint> checkpoint,
                                       const Layout& layout = {}, Dtype dtype = Dtype::kF32);
// Three layers, 9 query and 3 KV heads of 16, synthetic f32 weights (seed 7).
[[nodiscard]] Model tiny_model();
// The same with experts in the last two layers: 2 of 6 per token, 48 columns wide, and a shared one of 32.
[[nodiscard]] Model tiny_moe_model();
[[nodiscard]] EngineConfig tiny_config(const Layout& layout = {});

// `count` ids below `vocab`, different for each `salt`.
[[nodiscard]] Tokens make_prompt(std::int64_t count, std::uint64_t salt, std::int64_t vocab);

class Engine {
 public:
  explicit Engine(const EngineConfig& config) : config_(config), replica_(Replica::in_process(config)) {}

  // All prompts arrive together, ids 0, 1, …
  [[nodiscard]] EngineRun serve(const std::vector<Tokens>& prompts, std::int64_t new_tokens);
  [[nodiscard]] Tokens generate(const Tokens& prompt, std::int64_t new_tokens);
  // Logits of the last step, [slices with logits][vocab], put together from the ranks' shares.
  [[nodiscard]] std::vector<std::vector<float>> last_logits();
  [[nodiscard]] Replica& replica() { return *replica_; }

 private:
  EngineConfig config_;
  std::unique_ptr<Replica> replica_;
};

}  // namespace lindos::exec::harness
