// SPDX-License-Identifier: Apache-2.0
#include "scenarios/ops.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "scenarios/ops_builder.h"

namespace lindos {
namespace {

// Layers with equal ops: same FFN kind, same window.
bool alike(const Model& model, std::int64_t a, std::int64_t b) {
  if (model.is_moe_layer(a) != model.is_moe_layer(b)) return false;
  if (model.sliding_window.empty()) return true;
  return model.sliding_window[static_cast<std::size_t>(a)] ==
         model.sliding_window[static_cast<std::size_t>(b)];
}

void enter_stage(StepBuilder& step) {
  const auto hidden = static_cast<double>(step.model.hidden);
  if (step.shape.first_stage) {
    Op& op = step.add(OpKind::kEmbedding, step.tokens * hidden);
    op.activation_bytes += Bytes{step.tokens * hidden * step.bytes.side};  // the rows gathered
    op.tokens = static_cast<std::int64_t>(step.tokens);
    return;
  }
  Op& op = step.add(OpKind::kSendRecv, 0.0);
  op.group = 2;
  op.tokens = static_cast<std::int64_t>(step.tokens);
  op.message_bytes = Bytes{step.tokens * hidden * step.bytes.activation};
}

// Final norm, LM head and choice of candidates, for the rows that want logits.
void finish(StepBuilder& step) {
  std::int64_t rows = 0;
  for (const Slice& slice : step.batch) rows += slice.wants_logits ? 1 : 0;
  if (!step.shape.last_stage || rows == 0) return;
  const auto m = static_cast<double>(rows);
  const auto hidden = static_cast<double>(step.model.hidden);
  step.norm(m, hidden, hidden);
  step.lm_head(rows, Dtype::kF32);
  if (step.shape.vocab > 0) {
    Op& sample = step.add(OpKind::kSample, 0.0);
    sample.activation_bytes =
        Bytes{m * static_cast<double>(step.shape.vocab) * bytes_of(Dtype::kF32)};
    sample.tokens = rows;
    sample.n = step.shape.vocab;
  }
  if (step.shape.ranks > 1) {
    constexpr double kCandidateBytes = 8.0;  // f32 logit and 32-bit id
    Op& gather = step.add(OpKind::kAllGather, 0.0);
    gather.group = static_cast<int>(step.shape.ranks);
    gather.tokens = rows;
    gather.message_bytes = Bytes{static_cast<double>(step.shape.ranks) * m *
                                 static_cast<double>(step.options.candidates) * kCandidateBytes};
  }
}

}  // namespace

const char* name_of(OpKind kind) {
  switch (kind) {
    case OpKind::kEmbedding: return "embedding";
    case OpKind::kNorm: return "norm";
    case OpKind::kGemm: return "gemm";
    case OpKind::kRopeKvWrite: return "rope_kv_write";
    case OpKind::kAttentionPrefill: return "attention_prefill";
    case OpKind::kAttentionDecode: return "attention_decode";
    case OpKind::kActivation: return "activation";
    case OpKind::kMoeRoute: return "moe_route";
    case OpKind::kMoeGemm: return "moe_gemm";
    case OpKind::kResidual: return "residual";
    case OpKind::kAllReduce: return "all_reduce";
    case OpKind::kAllGather: return "all_gather";
    case OpKind::kAllToAll: return "all_to_all";
    case OpKind::kSendRecv: return "send_recv";
    case OpKind::kSample: return "sample";
    case OpKind::kAttentionBackward: return "attention_backward";
    case OpKind::kBatchedGemm: return "batched_gemm";
    case OpKind::kSoftmax: return "softmax";
    case OpKind::kDropout: return "dropout";
    case OpKind::kQuantise: return "quantise";
    case OpKind::kLoss: return "loss";
    case OpKind::kReduceScatter: return "reduce_scatter";
    case OpKind::kRingExchange: return "ring_exchange";
    case OpKind::kOptimizer: return "optimizer";
  }
  return "";
}

const char* name_of(GemmSite site) {
  switch (site) {
    case GemmSite::kNone: return "";
    case GemmSite::kQkv: return "qkv";
    case GemmSite::kO: return "o";
    case GemmSite::kGateUp: return "gate_up";
    case GemmSite::kDown: return "down";
    case GemmSite::kLmHead: return "lm_head";
    case GemmSite::kRouter: return "router";
    case GemmSite::kMlaDown: return "mla_down";
    case GemmSite::kMlaUp: return "mla_up";
    case GemmSite::kScores: return "scores";
    case GemmSite::kContext: return "context";
  }
  return "";
}

Op& StepBuilder::add(OpKind kind, double activations) {
  Op op;
  op.kind = kind;
  op.layer = layer;
  op.count = count;
  op.activation_bytes = Bytes{activations * bytes.activation};
  ops.push_back(op);
  return ops.back();
}

void StepBuilder::gemm(GemmSite site, std::int64_t m, std::int64_t n, std::int64_t k, double bias,
                       std::optional<double> kept_rows) {
  if (m == 0 || n == 0 || k == 0) return;
  const auto rows = static_cast<double>(m);
  const double weights = static_cast<double>(n) * static_cast<double>(k);
  Op& op = add(OpKind::kGemm, rows * static_cast<double>(n + k));
  op.site = site;
  op.m = op.tokens = m;
  op.n = n;
  op.k = k;
  op.flop = Flop{2.0 * rows * weights};
  op.weight_bytes = Bytes{weights * bytes.weight + bias * bytes.side};
  keep(op, kept_rows.value_or(rows) * static_cast<double>(k), std::min(bytes.weight, bytes.activation));
}

// Norms and activations write their result in 8 bits themselves; what other ops wrote is cast.
void StepBuilder::quantise(double width) {
  if (!training || bytes.weight >= bytes.activation) return;
  Op& op = add(OpKind::kQuantise, tokens * width);
  op.activation_bytes += Bytes{2.0 * tokens * width * bytes.weight};
  op.tokens = static_cast<std::int64_t>(tokens);
}

void StepBuilder::enter_tensor_parallel(double width) {
  if (!training || shape.ranks == 1) return;
  const Bytes message{tokens * width * bytes.activation};
  if (training->sequence_parallel) {
    Op& op = add(OpKind::kAllGather, 0.0);
    op.group = static_cast<int>(shape.ranks);
    op.tokens = static_cast<std::int64_t>(tokens);
    op.message_bytes = message;
    op.tiled = training->tiled_messages;
  }
  entries.push_back({ops.size(), message, static_cast<int>(shape.ranks), count});
}

void StepBuilder::leave_tensor_parallel() {
  if (shape.ranks == 1) return;
  const bool scatter = training && training->sequence_parallel;
  Op& op = add(scatter ? OpKind::kReduceScatter : OpKind::kAllReduce, 0.0);
  op.group = static_cast<int>(shape.ranks);
  op.tokens = static_cast<std::int64_t>(tokens);
  op.message_bytes = Bytes{tokens * static_cast<double>(model.hidden) * bytes.activation};
  op.tiled = training && training->tiled_messages;
}

// Reads both operands, writes the sum. Dropout of one operand is part of the kernel: it writes a mask of a byte.
void StepBuilder::residual(double bias) {
  const double elements = own_tokens() * static_cast<double>(model.hidden);
  Op& op = add(OpKind::kResidual, 3.0 * elements);
  op.tokens = static_cast<std::int64_t>(own_tokens());
  op.weight_bytes = Bytes{bias * bytes.side};
  if (training && training->dropout) {
    op.activation_bytes += Bytes{elements};
    keep(op, elements, 1.0);
  }
}

void StepBuilder::norm(double rows, double width, double weights) {
  Op& op = add(OpKind::kNorm, 2.0 * rows * width);
  op.tokens = static_cast<std::int64_t>(rows);
  op.n = static_cast<std::int64_t>(width);
  op.weight_bytes = Bytes{weights * bytes.side};
  keep(op, rows * width, bytes.activation);
}

void StepBuilder::lm_head(std::int64_t rows, Dtype logits) {
  if (shape.vocab == 0) return;
  const auto m = static_cast<double>(rows);
  const auto hidden = static_cast<double>(model.hidden);
  const auto vocab = static_cast<double>(shape.vocab);
  Op& head = add(OpKind::kGemm, m * hidden);
  head.activation_bytes += Bytes{m * vocab * bytes_of(logits)};
  head.site = GemmSite::kLmHead;
  head.m = head.tokens = rows;
  head.n = shape.vocab;
  head.k = model.hidden;
  head.flop = Flop{2.0 * m * vocab * hidden};
  head.weight_bytes = Bytes{vocab * hidden * bytes.side};
  keep(head, own_tokens() * hidden, bytes.activation);
}

void StepBuilder::layers(const Range& range) {
  for (std::int64_t l = range.begin; l < range.end; l += count) {
    layer = l;
    count = 1;
    while (options.fold_layers && l + count < range.end && alike(model, l, l + count)) ++count;
    attention_layer();
    ffn_layer();
  }
  layer = -1;
  count = 1;
}

std::vector<Op> step_ops(const Model& model, const GroupPlan& group, ShardId shard,
                         const Batch& batch, const OpOptions& options) {
  const RankPlan& rank =
      group.stages[static_cast<std::size_t>(shard.stage)].ranks[static_cast<std::size_t>(shard.rank)];
  StepBuilder step{.model = model,
                   .batch = batch,
                   .options = options,
                   .shape = shard_shape(model, group, shard),
                   .bytes = element_bytes(group),
                   .experts = rank.share.experts,
                   .ops = {},
                   .training = {},
                   .entries = {},
                   .attention_replicas = group.training.expert_parallel};
  for (const Slice& slice : batch) step.tokens += static_cast<double>(slice.tokens);
  if (step.tokens == 0.0) return {};
  enter_stage(step);
  step.layers(step.shape.layers);
  finish(step);
  return std::move(step.ops);
}

OpTotals total(const std::vector<Op>& ops) {
  OpTotals sum;
  for (const Op& op : ops) {
    const auto n = static_cast<double>(op.count);
    sum.flop += n * op.flop;
    sum.weight_bytes += n * op.weight_bytes;
    sum.activation_bytes += n * op.activation_bytes;
    sum.kv_bytes += n * op.kv_bytes;
    sum.message_bytes += n * op.message_bytes;
  }
  return sum;
}

}  // namespace lindos
