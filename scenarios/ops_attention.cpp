// SPDX-License-Identifier: Apache-2.0
// Ops of the attention half of a layer: grouped-query heads over a paged KV cache, or a shared latent.
#include <algorithm>
#include <cstddef>

#include "scenarios/ops_builder.h"

namespace lindos {
namespace {

// Σ_{p = first}^{first + n − 1} min(p + 1, window): the keys that n queries see.
std::int64_t visible_pairs(std::int64_t first, std::int64_t n, std::int64_t window) {
  const auto triangle = [](std::int64_t a) { return a * (a + 1) / 2; };
  if (window == 0) return triangle(first + n) - triangle(first);
  // Queries before position `window` see everything before them.
  const std::int64_t growing = std::clamp<std::int64_t>(window - first, 0, n);
  return triangle(first + growing) - triangle(first) + (n - growing) * window;
}

void add_slice(AttentionWork& work, const Slice& slice, std::int64_t window) {
  work.tokens += slice.tokens;
  work.pairs += visible_pairs(slice.context, slice.tokens, window);
  // The first query reaches back to context + 1 − window.
  work.keys += slice.tokens + (window == 0 ? slice.context : std::min(slice.context, window - 1));
}

void grouped_query(StepBuilder& step) {
  const Model& model = step.model;
  const ShardShape& shape = step.shape;
  const auto dim = static_cast<double>(model.head_dim);
  const auto q_width = static_cast<double>(shape.q_heads) * dim;
  const auto kv_width = 2.0 * static_cast<double>(shape.kv_heads) * dim;
  const auto tokens = static_cast<std::int64_t>(step.tokens);

  step.enter_tensor_parallel(static_cast<double>(model.hidden));
  step.gemm(GemmSite::kQkv, tokens, shape.qkv_width, model.hidden,
            model.qkv_bias ? static_cast<double>(shape.qkv_width) : 0.0, step.own_tokens());
  if (model.qk_norm) step.norm(step.tokens, q_width + kv_width / 2.0, 2.0 * dim);
  // q is rotated in place; k and v go to the cache. In training k is rotated in place as well: as many elements.
  if (!step.training || !model.learned_positions) {
    Op& rope = step.add(OpKind::kRopeKvWrite, step.tokens * (2.0 * q_width + kv_width));
    rope.q_heads = shape.q_heads;
    rope.kv_heads = shape.kv_heads;
    rope.head_dim = model.head_dim;
    rope.tokens = tokens;
    if (!step.training) rope.kv_bytes = Bytes{step.tokens * kv_width * step.bytes.kv};
  }
  if (step.training) {
    step.training_attention(
        {shape.q_heads, shape.kv_heads, model.head_dim, model.head_dim});
    return;
  }

  for (const bool decodes : {false, true}) {
    const AttentionWork work = attention_work(step.batch, decodes, window_of(model, step.layer));
    if (work.tokens == 0) continue;
    Op& op = step.add(decodes ? OpKind::kAttentionDecode : OpKind::kAttentionPrefill,
                      static_cast<double>(work.tokens) * 2.0 * q_width);
    op.q_heads = shape.q_heads;
    op.kv_heads = shape.kv_heads;
    op.head_dim = model.head_dim;
    op.tokens = work.tokens;
    op.kv_tokens = work.keys;
    op.flop = Flop{4.0 * static_cast<double>(work.pairs) * q_width};
    op.kv_bytes = Bytes{static_cast<double>(work.keys) * kv_width * step.bytes.kv};
    if (model.attention_sinks) {
      op.weight_bytes = Bytes{static_cast<double>(shape.q_heads) * step.bytes.side};
    }
  }
}

// DeepSeek's latent attention. Prefill expands the latents of all keys to per-head keys and values; decode
// absorbs that projection into the query and the output instead (modelling handbook 1.3).
void latent(StepBuilder& step) {
  const Model& model = step.model;
  const Mla& mla = model.mla;
  const std::int64_t heads = step.shape.q_heads;
  const std::int64_t key_width = mla.nope_head_dim + mla.rope_head_dim;
  const std::int64_t query_width = heads * key_width;
  const std::int64_t rank = mla.kv_lora_rank;
  const std::int64_t cached = step.shape.latent;
  const auto tokens = static_cast<std::int64_t>(step.tokens);
  const std::int64_t query_input = mla.q_lora_rank > 0 ? mla.q_lora_rank : model.hidden;

  step.gemm(GemmSite::kMlaDown, static_cast<std::int64_t>(step.own_tokens()),
            mla.q_lora_rank + cached, model.hidden);
  const double latents = mla.q_lora_rank + mla.kv_lora_rank;
  step.norm(step.own_tokens(), latents, latents);
  // The latents are what the ranks' heads share.
  step.enter_tensor_parallel(static_cast<double>(query_input + cached));
  step.gemm(GemmSite::kMlaUp, tokens, query_width, query_input, 0.0, step.own_tokens());
  Op& rope = step.add(OpKind::kRopeKvWrite,
                      step.tokens * static_cast<double>(2 * query_width + cached));
  rope.q_heads = heads;
  rope.kv_heads = 1;
  rope.head_dim = cached;
  rope.tokens = tokens;
  if (step.training) {
    step.gemm(GemmSite::kMlaUp, tokens, heads * (mla.nope_head_dim + mla.v_head_dim), rank, 0.0,
              step.own_tokens());
    step.training_attention({heads, heads, key_width, mla.v_head_dim});
    return;
  }
  rope.kv_bytes = Bytes{step.tokens * static_cast<double>(cached) * step.bytes.kv};

  const std::int64_t window = window_of(model, step.layer);
  const AttentionWork prefill = attention_work(step.batch, false, window);
  if (prefill.tokens > 0) {
    const std::int64_t expanded = heads * (mla.nope_head_dim + mla.v_head_dim);
    // The latents that it expands are read from the cache, which the attention op counts.
    Op& up = step.add(OpKind::kGemm, static_cast<double>(prefill.keys * expanded));
    up.site = GemmSite::kMlaUp;
    up.m = prefill.keys;
    up.n = expanded;
    up.k = rank;
    up.tokens = prefill.tokens;
    up.flop = Flop{2.0 * static_cast<double>(prefill.keys * expanded) * static_cast<double>(rank)};
    up.weight_bytes = Bytes{static_cast<double>(expanded * rank) * step.bytes.weight};
    Op& op = step.add(OpKind::kAttentionPrefill,
                      static_cast<double>(prefill.tokens * (query_width + heads * mla.v_head_dim) +
                                          prefill.keys * expanded));
    op.q_heads = heads;
    op.kv_heads = heads;
    op.head_dim = key_width;
    op.value_dim = mla.v_head_dim;
    op.latent = cached;
    op.tokens = prefill.tokens;
    op.kv_tokens = prefill.keys;
    op.flop = Flop{2.0 * static_cast<double>(prefill.pairs) *
                   static_cast<double>(heads * (key_width + mla.v_head_dim))};
    op.kv_bytes = Bytes{static_cast<double>(prefill.keys * cached) * step.bytes.kv};
  }
  const AttentionWork decode = attention_work(step.batch, true, window);
  if (decode.tokens > 0) {
    // Per head a product with [nope, rank] before and [rank, v] after; n × k is all heads' weights.
    const auto absorb = [&](std::int64_t from, std::int64_t to) {
      Op& op = step.add(OpKind::kGemm, static_cast<double>(decode.tokens * heads * (from + to)));
      op.site = GemmSite::kMlaUp;
      op.m = decode.tokens;
      op.n = heads * to;
      op.k = from;
      op.tokens = decode.tokens;
      op.flop = Flop{2.0 * static_cast<double>(decode.tokens * heads * from) *
                     static_cast<double>(to)};
      op.weight_bytes = Bytes{static_cast<double>(heads * from * to) * step.bytes.weight};
    };
    absorb(mla.nope_head_dim, rank);
    Op& op = step.add(OpKind::kAttentionDecode,
                      static_cast<double>(decode.tokens * heads * (cached + rank)));
    op.q_heads = heads;
    op.kv_heads = 1;
    op.head_dim = cached;
    op.latent = cached;
    op.tokens = decode.tokens;
    op.kv_tokens = decode.keys;
    op.flop = Flop{2.0 * static_cast<double>(decode.pairs) *
                   static_cast<double>(heads * (cached + rank))};
    op.kv_bytes = Bytes{static_cast<double>(decode.keys * cached) * step.bytes.kv};
    absorb(rank, mla.v_head_dim);
  }
}

}  // namespace

std::int64_t window_of(const Model& model, std::int64_t layer) {
  return model.sliding_window.empty() ? 0
                                      : model.sliding_window[static_cast<std::size_t>(layer)];
}

AttentionWork attention_work(const Batch& batch, bool decodes, std::int64_t window) {
  AttentionWork work;
  for (const Slice& slice : batch) {
    if (slice.is_decode() == decodes) add_slice(work, slice, window);
  }
  return work;
}

AttentionWork attention_work(const Batch& batch, std::int64_t window) {
  AttentionWork work;
  for (const Slice& slice : batch) add_slice(work, slice, window);
  return work;
}

void StepBuilder::attention_layer() {
  norm(own_tokens(), static_cast<double>(model.hidden), static_cast<double>(model.hidden));
  // A rank without heads only takes part in the sum.
  if (shape.q_heads > 0) {
    if (model.is_mla()) {
      latent(*this);
    } else {
      grouped_query(*this);
    }
    quantise(static_cast<double>(shape.attention_width));
    gemm(GemmSite::kO, static_cast<std::int64_t>(tokens), model.hidden, shape.attention_width);
  }
  leave_tensor_parallel();
  residual(model.o_bias ? static_cast<double>(model.hidden) : 0.0);
}

}  // namespace lindos
