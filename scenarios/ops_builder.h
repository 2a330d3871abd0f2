// SPDX-License-Identifier: Apache-2.0
// Shared by the files that write the op list: one step of one rank, its sizes, and the list so far.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/model.h"
#include "scenarios/ops.h"
#include "scenarios/shard_shape.h"

namespace lindos {

// What attention reads of a set of slices under one window.
struct AttentionWork {
  std::int64_t tokens = 0;
  std::int64_t pairs = 0;   // Σ over queries of the keys each sees
  std::int64_t keys = 0;    // Σ over slices of keys read at least once
  bool operator==(const AttentionWork&) const = default;
};
// Of the slices that are decodes, or of those that are not. `window` 0 = full.
[[nodiscard]] AttentionWork attention_work(const Batch& batch, bool decodes, std::int64_t window);
// Of all slices.
[[nodiscard]] AttentionWork attention_work(const Batch& batch, std::int64_t window);
[[nodiscard]] std::int64_t window_of(const Model& model, std::int64_t layer);

// [expert]: its part of all choices where popularity follows a power law of exponent `skew`, 0 = all alike. In an order that
// gives every rank of neighbouring experts its part of the popular ones.
[[nodiscard]] std::vector<double> expert_shares(const Moe& moe, double skew);

// Routed load of the experts `local` in one MoE layer, in expectation over the routing.
struct ExpertLoad {
  double pairs = 0.0;       // (token, expert) pairs
  double hit = 0.0;         // distinct experts
};
[[nodiscard]] ExpertLoad expert_load(const Moe& moe, const Range& local, std::int64_t tokens,
                                     double skew);

// What a training pass does otherwise than a step of the engine: nothing is cached, tensors are kept for the
// backward pass, ranks share tokens and experts out (training_forward.cpp).
struct TrainingPass {
  bool sequence_parallel = false;
  std::int64_t context_ranks = 1;
  std::int64_t expert_ranks = 1;
  bool fused_attention = true;
  bool portable_attention = false;
  bool fused_loss = true;
  bool tiled_messages = false;
  bool dropout = false;
};

// Where rows that all ranks share enter tensor-parallel work: the backward pass sums their gradient there.
struct TensorEntry {
  std::size_t before = 0;           // index of the first op that reads them
  Bytes message{0};
  int group = 1;
  std::int64_t count = 1;           // layers that it stands for; the op there may come more often than once in each
};

// Dimensions of one rank's attention after projection.
struct AttentionHeads {
  std::int64_t q_heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t key_dim = 0;
  std::int64_t value_dim = 0;
};

struct StepBuilder {
  const Model& model;
  const Batch& batch;
  const OpOptions& options;
  ShardShape shape;
  ElementBytes bytes;
  Range experts;                    // of this rank
  double tokens = 0.0;              // of the step
  std::int64_t layer = -1;          // of the ops being added …
  std::int64_t count = 1;           // … and how many layers they stand for
  std::vector<Op> ops;
  std::optional<TrainingPass> training;
  std::vector<TensorEntry> entries;
  std::int64_t attention_replicas = 1;  // serving: replicas with sequences of their own that deal the experts out

  // Tokens of which this rank does norms and residual: all, or its part under sequence parallelism.
  [[nodiscard]] double own_tokens() const {
    return training && training->sequence_parallel ? tokens / static_cast<double>(shape.ranks)
                                                   : tokens;
  }
  // Ranks outside the stage among which the stage's experts are dealt out.
  [[nodiscard]] std::int64_t expert_ranks() const { return training ? training->expert_ranks : attention_replicas; }
  // Training: marks `elements` of `width` bytes as kept for the backward pass.
  void keep(Op& op, double elements, double width) {
    if (training) op.saved_bytes += Bytes{elements * width};
  }

  // Adds an op and returns it for the fields that its kind needs. `activations` in elements.
  Op& add(OpKind kind, double activations);
  // y[m, n] = x[m, k] · Wᵀ with `bias` elements; skipped (no op) when n or m or k is 0. In training x is kept:
  // all of it, or `kept_rows`.
  void gemm(GemmSite site, std::int64_t m, std::int64_t n, std::int64_t k, double bias = 0.0,
            std::optional<double> kept_rows = std::nullopt);
  // Training with 8-bit weights: casts [tokens, width], in the layout of this pass and of the weight gradient.
  void quantise(double width);
  // Every rank gets the rows [tokens, width] that tensor-parallel work needs …
  void enter_tensor_parallel(double width);
  // … and the partial results [tokens, hidden] are summed. Nothing on a single rank.
  void leave_tensor_parallel();
  void residual(double bias);
  void norm(double rows, double width, double weights);

  void layers(const Range& range);  // ops.cpp; equal ones folded
  void lm_head(std::int64_t rows, Dtype logits);
  void attention_layer();           // ops_attention.cpp
  void ffn_layer();                 // ops_ffn.cpp
  void training_attention(const AttentionHeads& heads);  // training_forward.cpp
};

}  // namespace lindos
