// SPDX-License-Identifier: Apache-2.0
// Shared by the files that write the op list: one step of one rank, its sizes, and the list so far.
#pragma once

#include <cstdint>
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

// Routed load of the experts `local` in one MoE layer, in expectation over the routing.
struct ExpertLoad {
  double pairs = 0.0;       // (token, expert) pairs
  double hit = 0.0;         // distinct experts
};
[[nodiscard]] ExpertLoad expert_load(const Moe& moe, const Range& local, std::int64_t tokens,
                                     double skew);

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

  // Adds an op and returns it for the fields that its kind needs. `activations` in elements.
  Op& add(OpKind kind, double activations);
  // y[m, n] = x[m, k] · Wᵀ with `bias` elements; skipped (no op) when n or m or k is 0.
  void gemm(GemmSite site, std::int64_t m, std::int64_t n, std::int64_t k, double bias = 0.0);
  // Sum over the stage's ranks of [tokens, hidden]; nothing on a single rank.
  void all_reduce();
  void residual(double bias);
  void norm(double rows, double width, double weights);

  void attention_layer();           // ops_attention.cpp
  void ffn_layer();                 // ops_ffn.cpp
};

}  // namespace lindos
