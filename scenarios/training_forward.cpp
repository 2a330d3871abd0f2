// SPDX-License-Identifier: Apache-2.0
// The forward pass: a step without a cache, in which every token wants its logits.
#include <cstddef>
#include <utility>

#include "scenarios/training_passes.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

// Context ranks hold two of 2·cp pieces of each sequence, one early and one late (zigzag), so that causal attention
// is equal work for all. With a window it is not quite: the rank with the two middle pieces has the most.
Batch micro_batch(const TrainingPlan& plan, const TrainingWorkload& training) {
  Batch batch;
  for (std::int64_t i = 0; i < training.micro_batch; ++i) {
    if (plan.context_parallel == 1) {
      batch.push_back({.context = 0, .tokens = training.sequence});
      continue;
    }
    const std::int64_t piece = training.sequence / (2 * plan.context_parallel);
    batch.push_back({.context = (plan.context_parallel - 1) * piece, .tokens = piece});
    batch.push_back({.context = plan.context_parallel * piece, .tokens = piece});
  }
  return batch;
}

// Each rank looks up all tokens in its rows of the table; the sum over the ranks completes them.
void embed(StepBuilder& step) {
  const double hidden = static_cast<double>(step.model.hidden);
  Op& op = step.add(OpKind::kEmbedding, step.tokens * hidden);
  op.activation_bytes += Bytes{step.tokens * hidden * step.bytes.side};
  op.tokens = static_cast<std::int64_t>(step.tokens);
  step.leave_tensor_parallel();
  const double elements = step.own_tokens() * hidden;
  if (step.model.learned_positions) {
    step.add(OpKind::kResidual, 3.0 * elements).tokens =
        static_cast<std::int64_t>(step.own_tokens());
  }
  if (step.training->dropout) {
    Op& mask = step.add(OpKind::kDropout, 2.0 * elements);
    mask.activation_bytes += Bytes{elements};
    mask.tokens = static_cast<std::int64_t>(step.own_tokens());
    step.keep(mask, elements, 1.0);
  }
}

// Bytes per logit of Megatron's cross-entropy without fusion (tensor_parallel/cross_entropy.py), both passes: cast to
// f32 6, maximum 4, subtraction 8, exponential 8, sum 4, division 8; scaling of the gradient 8, cast back 6. Mean of
// the two passes.
constexpr double kUnfusedLoss = (6.0 + 4.0 + 8.0 + 8.0 + 4.0 + 8.0 + 8.0 + 6.0) / 2.0;

// Final norm, LM head, cross-entropy over vocabulary shards: the ranks exchange maximum, sum and target logit
// of each token in f32 (Megatron-LM, arXiv 1909.08053, section 3). Loss and gradient are one fused pass each.
void take_loss(StepBuilder& step, Dtype activation) {
  const auto hidden = static_cast<double>(step.model.hidden);
  const auto rows = static_cast<std::int64_t>(step.tokens);
  step.norm(step.own_tokens(), hidden, hidden);
  step.enter_tensor_parallel(hidden);
  step.lm_head(rows, activation);
  const double logits = step.tokens * static_cast<double>(step.shape.vocab);
  if (logits > 0.0) {
    Op& loss = step.add(OpKind::kLoss, logits);
    loss.activation_bytes += Bytes{logits * bytes_of(Dtype::kF32)};
    if (!step.training->fused_loss) loss.activation_bytes = Bytes{logits * kUnfusedLoss};
    loss.tokens = rows;
    loss.n = step.shape.vocab;
    step.keep(loss, logits, bytes_of(Dtype::kF32));
  }
  if (step.shape.ranks == 1) return;
  Op& sum = step.add(OpKind::kAllReduce, 0.0);
  sum.count = 3;
  sum.group = static_cast<int>(step.shape.ranks);
  sum.tokens = rows;
  sum.message_bytes = Bytes{step.tokens * bytes_of(Dtype::kF32)};
}

void fused(StepBuilder& step, const AttentionHeads& heads) {
  const AttentionWork work = attention_work(step.batch, window_of(step.model, step.layer));
  const auto q_heads = static_cast<double>(heads.q_heads);
  const double q_width = q_heads * static_cast<double>(heads.key_dim);
  const double out_width = q_heads * static_cast<double>(heads.value_dim);
  const double kv_width =
      static_cast<double>(heads.kv_heads) * static_cast<double>(heads.key_dim + heads.value_dim);
  Op& op = step.add(OpKind::kAttentionPrefill, step.tokens * (q_width + out_width));
  op.q_heads = heads.q_heads;
  op.kv_heads = heads.kv_heads;
  op.head_dim = heads.key_dim;
  op.value_dim = heads.value_dim;
  op.tokens = work.tokens;
  op.kv_tokens = work.keys;
  op.portable = step.training->portable_attention;
  op.flop = Flop{2.0 * static_cast<double>(work.pairs) * (q_width + out_width)};
  op.kv_bytes = Bytes{static_cast<double>(work.keys) * kv_width * step.bytes.activation};
  if (step.model.attention_sinks) op.weight_bytes = Bytes{q_heads * step.bytes.side};
  // q, k, v and the f32 log-sum-exp of each row; the output is kept as the input of the o projection, unless that
  // keeps an 8-bit copy.
  step.keep(op, step.tokens * (q_width + kv_width), step.bytes.activation);
  step.keep(op, step.tokens * q_heads, bytes_of(Dtype::kF32));
  if (step.bytes.weight < step.bytes.activation) {
    step.keep(op, step.tokens * out_width, step.bytes.activation);
  }
}

// Scores, softmax, dropout and context as kernels of their own, over the full square: the mask hides half of it, but
// it is computed. REQUIRES: no context parallelism.
void unfused(StepBuilder& step, const AttentionHeads& heads) {
  const std::int64_t length = step.batch.front().tokens;
  const std::int64_t products = static_cast<std::int64_t>(step.batch.size()) * heads.q_heads;
  const auto rows = static_cast<double>(products * length);
  const double square = rows * static_cast<double>(length);
  const double kv_elements = step.tokens * static_cast<double>(heads.kv_heads);
  const auto product = [&](GemmSite site, std::int64_t n, std::int64_t k) -> Op& {
    // Left and right operand and the result; grouped heads read their keys once each.
    const double elements = rows * static_cast<double>(n + k) +
                            static_cast<double>(products * n) * static_cast<double>(k);
    Op& op = step.add(OpKind::kBatchedGemm, elements);
    op.site = site;
    op.products = products;
    op.m = op.tokens = length;
    op.n = n;
    op.k = k;
    op.flop = Flop{2.0 * rows * static_cast<double>(n) * static_cast<double>(k)};
    return op;
  };
  Op& scores = product(GemmSite::kScores, length, heads.key_dim);
  step.keep(scores, rows * static_cast<double>(heads.key_dim), step.bytes.activation);
  step.keep(scores, kv_elements * static_cast<double>(heads.key_dim), step.bytes.activation);
  Op& softmax = step.add(OpKind::kSoftmax, 2.0 * square);
  softmax.tokens = products * length;
  step.keep(softmax, square, step.bytes.activation);
  if (step.training->dropout) {
    Op& dropout = step.add(OpKind::kDropout, 2.0 * square);
    dropout.activation_bytes += Bytes{square};
    dropout.tokens = products * length;
    step.keep(dropout, square, 1.0 + step.bytes.activation);  // mask and what goes on
  }
  Op& context = product(GemmSite::kContext, heads.value_dim, length);
  step.keep(context, kv_elements * static_cast<double>(heads.value_dim), step.bytes.activation);
}

}  // namespace

// The ring passes every rank's keys and values by every rank, beside the attention over those that are there.
void StepBuilder::training_attention(const AttentionHeads& heads) {
  if (training->context_ranks > 1) {
    Op& ring = add(OpKind::kRingExchange, 0.0);
    ring.group = static_cast<int>(training->context_ranks);
    ring.tokens = static_cast<std::int64_t>(tokens);
    ring.beside_next = true;
    ring.message_bytes =
        Bytes{static_cast<double>(training->context_ranks) * tokens *
              static_cast<double>(heads.kv_heads * (heads.key_dim + heads.value_dim)) *
              bytes.activation};
  }
  if (training->fused_attention) {
    fused(*this, heads);
  } else {
    unfused(*this, heads);
  }
}

double micro_batch_tokens(const GroupPlan& group, const TrainingWorkload& training) {
  return static_cast<double>(training.micro_batch * training.sequence /
                             group.training.context_parallel);
}

ForwardPass forward_pass(const Model& model, const GroupPlan& group,
                         const TrainingWorkload& training, ShardId shard, int chunk) {
  const TrainingPlan& plan = group.training;
  const auto stage = static_cast<std::size_t>(shard.stage);
  Range experts = group.stages[stage].ranks[static_cast<std::size_t>(shard.rank)].share.experts;
  experts.end = experts.begin + experts.size() / plan.expert_parallel;
  const Batch batch = micro_batch(plan, training);
  const OpOptions options;
  StepBuilder step{.model = model,
                   .batch = batch,
                   .options = options,
                   .shape = shard_shape(model, group, shard),
                   .bytes = element_bytes(group),
                   .experts = experts,
                   .tokens = micro_batch_tokens(group, training),
                   .ops = {},
                   .training = TrainingPass{.sequence_parallel = plan.sequence_parallel,
                                            .context_ranks = plan.context_parallel,
                                            .expert_ranks = plan.expert_parallel,
                                            .fused_attention = plan.fused_attention,
                                            .portable_attention = plan.portable_attention,
                                            .fused_loss = plan.fused_loss,
                                            .tiled_messages =
                                                plan.overlap_tensor == TensorOverlap::kTiles,
                                            .dropout = training.dropout},
                   .entries = {}};
  if (step.shape.first_stage && chunk == 0) embed(step);
  step.layers(chunk_layers(group, shard.stage, chunk));
  if (step.shape.last_stage && chunk + 1 == plan.virtual_stages) {
    take_loss(step, group.activation_dtype);
  }
  return {std::move(step.ops), std::move(step.entries)};
}

}  // namespace lindos
