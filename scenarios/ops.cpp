// SPDX-License-Identifier: Apache-2.0
#include "scenarios/ops.h"

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
  const auto vocab = static_cast<double>(step.shape.vocab);
  const double logits = m * vocab * bytes_of(Dtype::kF32);
  step.norm(m, hidden, hidden);
  if (step.shape.vocab > 0) {
    Op& head = step.add(OpKind::kGemm, m * hidden);
    head.activation_bytes += Bytes{logits};
    head.site = GemmSite::kLmHead;
    head.m = head.tokens = rows;
    head.n = step.shape.vocab;
    head.k = step.model.hidden;
    head.flop = Flop{2.0 * m * vocab * hidden};
    head.weight_bytes = Bytes{vocab * hidden * step.bytes.side};
    Op& sample = step.add(OpKind::kSample, 0.0);
    sample.activation_bytes = Bytes{logits};
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

void StepBuilder::gemm(GemmSite site, std::int64_t m, std::int64_t n, std::int64_t k, double bias) {
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
}

void StepBuilder::all_reduce() {
  if (shape.ranks == 1) return;
  Op& op = add(OpKind::kAllReduce, 0.0);
  op.group = static_cast<int>(shape.ranks);
  op.tokens = static_cast<std::int64_t>(tokens);
  op.message_bytes = Bytes{tokens * static_cast<double>(model.hidden) * bytes.activation};
}

// Reads both operands, writes the sum.
void StepBuilder::residual(double bias) {
  Op& op = add(OpKind::kResidual, 3.0 * tokens * static_cast<double>(model.hidden));
  op.tokens = static_cast<std::int64_t>(tokens);
  op.weight_bytes = Bytes{bias * bytes.side};
}

void StepBuilder::norm(double rows, double width, double weights) {
  Op& op = add(OpKind::kNorm, 2.0 * rows * width);
  op.tokens = static_cast<std::int64_t>(rows);
  op.n = static_cast<std::int64_t>(width);
  op.weight_bytes = Bytes{weights * bytes.side};
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
                   .ops = {}};
  for (const Slice& slice : batch) step.tokens += static_cast<double>(slice.tokens);
  if (step.tokens == 0.0) return {};
  enter_stage(step);
  const Range layers = step.shape.layers;
  for (std::int64_t l = layers.begin; l < layers.end; l += step.count) {
    step.layer = l;
    step.count = 1;
    while (options.fold_layers && l + step.count < layers.end && alike(model, l, l + step.count)) {
      ++step.count;
    }
    step.attention_layer();
    step.ffn_layer();
  }
  step.layer = -1;
  step.count = 1;
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
