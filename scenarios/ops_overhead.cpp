// SPDX-License-Identifier: Apache-2.0
// What a sharding adds to the unsharded step, counted from the plan alone: who repeats what how often. It does
// not look at op lists, so that the property test compares two independent derivations.
#include <cstddef>

#include "scenarios/ops.h"
#include "scenarios/ops_builder.h"
#include "scenarios/shard_shape.h"

namespace lindos {
namespace {

// How often a stage repeats each kind of work beyond once: ranks that do it, less one.
struct Repeats {
  double ranks = 0.0;     // norms, residual: every rank
  double attention = 0.0; // ranks with q heads
  double dense = 0.0;     // ranks with FFN columns
  double routed = 0.0;    // ranks with routed experts' columns
  double shared = 0.0;    // ranks with shared experts' columns
  double head = 0.0;      // ranks with LM head rows
  double kv_heads = 0.0;  // KV heads held beyond once
};

Repeats repeats_of(const Model& model, const GroupPlan& group, std::size_t stage) {
  Repeats r{-1.0, -1.0, -1.0, -1.0, -1.0, -1.0, static_cast<double>(-model.kv_heads)};
  const auto once = [](bool does) { return does ? 1.0 : 0.0; };
  for (std::size_t i = 0; i < group.stages[stage].ranks.size(); ++i) {
    const ShardShape shape =
        shard_shape(model, group, {static_cast<int>(stage), static_cast<int>(i)});
    r.ranks += 1.0;
    r.attention += once(shape.q_heads > 0);
    r.dense += once(shape.ffn > 0);
    r.routed += once(shape.experts > 0 && shape.expert_ffn > 0);
    r.shared += once(shape.shared_ffn > 0);
    r.head += once(shape.vocab > 0);
    r.kv_heads += static_cast<double>(shape.kv_heads);
  }
  return r;
}

struct Counter {
  const Model& model;
  const Batch& batch;
  ElementBytes bytes;
  double tokens = 0.0;
  double rows = 0.0;      // that want logits
  double hidden = 0.0;
  ShardingOverhead sum;

  void activations(double elements) {
    sum.replicated_activation += Bytes{elements * bytes.activation};
  }
  void weights(double elements, double width) {
    sum.replicated_weights += Bytes{elements * width};
  }
  [[nodiscard]] double keys(std::int64_t layer) const {
    const std::int64_t window = model.sliding_window.empty()
                                    ? 0
                                    : model.sliding_window[static_cast<std::size_t>(layer)];
    return static_cast<double>(attention_work(batch, false, window).keys +
                               attention_work(batch, true, window).keys);
  }

  void grouped_query(const Repeats& r, std::int64_t layer) {
    const auto dim = static_cast<double>(model.head_dim);
    const double columns = 2.0 * r.kv_heads * dim;  // of k and v, projected more than once
    sum.replicated_kv_flop += Flop{2.0 * tokens * columns * hidden};
    sum.replicated_kv_weights += Bytes{columns * (hidden * bytes.weight +
                                                  (model.qkv_bias ? bytes.side : 0.0))};
    sum.replicated_kv_cache += Bytes{columns * (tokens + keys(layer)) * bytes.kv};
    activations(tokens * columns * 2.0);            // written by the projection, read for the cache
    if (model.qk_norm) {
      activations(tokens * columns);                // k only: read and written
      weights(r.attention * 2.0 * dim, bytes.side);
    }
  }

  void latent(const Repeats& r, std::int64_t layer) {
    const Mla& mla = model.mla;
    const double cached = mla.kv_lora_rank + mla.rope_head_dim;
    const double down = mla.q_lora_rank + cached;
    sum.replicated_flop += Flop{r.attention * 2.0 * tokens * hidden * down};
    weights(r.attention * hidden * down, bytes.weight);
    weights(r.attention * (mla.q_lora_rank + mla.kv_lora_rank), bytes.side);
    sum.replicated_kv_cache += Bytes{r.attention * cached * (tokens + keys(layer)) * bytes.kv};
    activations(r.attention * tokens *
                (down + 2.0 * (mla.q_lora_rank + mla.kv_lora_rank) +  // down output, norm
                 (mla.q_lora_rank > 0 ? mla.q_lora_rank : hidden) +   // input of the query projection
                 cached));                                            // read for the cache
  }

  void attention(const Repeats& r, std::int64_t layer) {
    if (model.is_mla()) {
      latent(r, layer);
    } else {
      grouped_query(r, layer);
    }
    // The layer's input, read by the first projection, and the partial sums that the last one writes.
    activations(r.attention * 2.0 * tokens * hidden);
    if (model.o_bias) weights(r.ranks * hidden, bytes.side);
  }

  void ffn(const Repeats& r, bool routed, bool expert_parallel) {
    if (!routed) {
      activations(r.dense * 2.0 * tokens * hidden);
      if (model.mlp_bias) weights(r.ranks * hidden, bytes.side);
      return;
    }
    const Moe& moe = model.moe;
    sum.replicated_flop += Flop{r.ranks * 2.0 * tokens * hidden * moe.experts};
    weights(r.ranks * moe.experts * (hidden + (model.mlp_bias ? 1.0 : 0.0)), bytes.side);
    activations(r.ranks * tokens * hidden);
    sum.replicated_activation += Bytes{r.ranks * tokens * moe.experts * bytes_of(Dtype::kF32)};
    const double pairs = tokens * moe.top_k;
    activations(r.routed * tokens * hidden);                            // each rank's weighted sum
    if (!expert_parallel) activations(r.routed * 3.0 * pairs * hidden); // its input rows and their outputs
    if (moe.shared_experts > 0) activations(r.shared * 2.0 * tokens * hidden);
  }
};

}  // namespace

ShardingOverhead sharding_overhead(const Model& model, const GroupPlan& group,
                                   const Batch& batch) {
  Counter count{.model = model,
                .batch = batch,
                .bytes = element_bytes(group),
                .hidden = static_cast<double>(model.hidden),
                .sum = {}};
  for (const Slice& slice : batch) {
    count.tokens += static_cast<double>(slice.tokens);
    count.rows += slice.wants_logits ? 1.0 : 0.0;
  }
  if (count.tokens == 0.0) return count.sum;
  const double hidden = count.hidden;
  const double row_bytes = count.tokens * hidden * count.bytes.activation;

  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const Repeats r = repeats_of(model, group, s);
    const double ranks = r.ranks + 1.0;
    const bool expert_parallel = shard_shape(model, group, {static_cast<int>(s), 0}).expert_parallel;
    for (std::int64_t l = group.stages[s].layers.begin; l < group.stages[s].layers.end; ++l) {
      count.attention(r, l);
      count.ffn(r, model.is_moe_layer(l), expert_parallel);
      count.activations(r.ranks * 10.0 * count.tokens * hidden);  // two norms, two residual additions
      count.weights(r.ranks * 2.0 * hidden, count.bytes.side);
      if (ranks > 1.0) count.sum.messages += Bytes{2.0 * ranks * row_bytes};
    }
    if (s == 0) {
      count.activations(r.ranks * count.tokens * hidden);
      count.sum.replicated_activation +=
          Bytes{r.ranks * count.tokens * hidden * count.bytes.side};
    } else {
      count.sum.messages += Bytes{ranks * row_bytes};
    }
    if (s + 1 == group.stages.size() && count.rows > 0.0) {
      count.activations(r.ranks * 2.0 * count.rows * hidden + r.head * count.rows * hidden);
      count.weights(r.ranks * hidden, count.bytes.side);
      if (ranks > 1.0) count.sum.messages += Bytes{ranks * ranks * count.rows * 8.0};
    }
  }
  if (model.tied_embeddings && group.stages.size() > 1) {
    count.sum.tied_copy =
        Bytes{static_cast<double>(model.vocab) * hidden * count.bytes.side};
  }
  return count.sum;
}

}  // namespace lindos
