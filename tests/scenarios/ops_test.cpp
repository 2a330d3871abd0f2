// SPDX-License-Identifier: Apache-2.0
#include "scenarios/ops.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/plan_json.h"
#include "tests/scenarios/models.h"
#include "tests/scenarios/random_models.h"

namespace lindos {
namespace {

GroupPlan one_rank(const Model& model, Dtype dtype = Dtype::kBf16) {
  return make_plan(model, "pool", 1, {}, {}, dtype, {}, kGpuGranule).groups.at(0);
}
Slice decode_at(std::int64_t context) { return {.context = context, .tokens = 1}; }
double sum_of(const std::vector<Op>& ops, OpKind kind, Bytes Op::*field) {
  double sum = 0.0;
  for (const Op& op : ops) {
    if (op.kind == kind) sum += static_cast<double>(op.count) * (op.*field).value();
  }
  return sum;
}

// SmolLM2, one decode after 99 tokens. Per layer: qkv 576 × (9 + 2·3)·64 = 552,960, o 576 × 576 = 331,776,
// gate|up and down 3 × 576 × 1536 = 2,654,208; together 3,538,944. Head 49,152 × 576 = 28,311,552.
// FLOP: 2 × (30 × 3,538,944 + 28,311,552) = 268,959,744, attention 4 × 100 keys × 9 × 64 × 30 = 6,912,000.
// Weights: 30 × (3,538,944 + 2 × 576) + 28,311,552 + 576 = 134,515,008 = all parameters, 2 bytes each.
// KV: 30 layers × 2 × 3 × 64 × 2 B × (100 read + 1 written) = 2,327,040.
TEST(StepOps, SmolLm2DecodeOfOne) {
  const Model model = smollm2();
  EXPECT_EQ(parameter_count(model), 134515008);
  const OpTotals totals = total(step_ops(model, one_rank(model), {}, {decode_at(99)}));
  EXPECT_EQ(totals.flop.value(), 268959744.0 + 6912000.0);
  EXPECT_EQ(totals.weight_bytes.value(), 2.0 * 134515008.0);
  EXPECT_EQ(totals.kv_bytes.value(), 2327040.0);
  EXPECT_EQ(totals.message_bytes.value(), 0.0);
}

// Llama-3.1-8B (engine handbook 9.1): parameters 8,030,261,248, less the embedding table of 525,336,576 not
// read: 7,504,924,672 × 2 B = 15.01 GB. KV: 32 layers × 2 × 8 × 128 × 2 B = 131,072 B per token.
TEST(StepOps, Llama8bDecodeTouchesItsWeightsOnce) {
  const Model model = llama_8b();
  const GroupPlan group = one_rank(model);
  EXPECT_EQ(parameter_count(model), 8030261248);
  const OpTotals totals = total(step_ops(model, group, {}, {decode_at(0), decode_at(4095)}));
  EXPECT_EQ(totals.weight_bytes.value(), 15009849344.0);
  EXPECT_EQ(kv_bytes_per_token(model, group, {}).value(), 131072.0);
  EXPECT_EQ(weight_bytes(model, group, {}).value(), 2.0 * 8030261248.0);
}

// Prefill of 8,192: GEMM 2 × 8,192 × 32 × 218,103,808 = 114.349 TFLOP, head for one row 1.05 GFLOP, attention
// 4 × 4,096 × 8,192 × 8,193 / 2 × 32 = 17.595 TFLOP: 131.945 (handbook: 131.9, causal half).
TEST(StepOps, Llama8bPrefill) {
  const Model model = llama_8b();
  const auto ops = step_ops(model, one_rank(model), {}, {{.context = 0, .tokens = 8192}});
  const OpTotals totals = total(ops);
  const double gemm = 2.0 * 8192 * 32 * 218103808.0 + 2.0 * 128256 * 4096;
  const double attention = 4.0 * 4096 * (8192.0 * 8193.0 / 2) * 32;
  EXPECT_EQ(totals.flop.value(), gemm + attention);
  EXPECT_NEAR(totals.flop.value() / 1e12, 131.9, 0.05);
  // Every KV head of every slice is read once, and every new token is written.
  EXPECT_EQ(totals.kv_bytes.value(), 131072.0 * 2 * 8192);
}

TEST(StepOps, ChunksOfAPromptSumToTheWholeAttention) {
  const Model model = llama_8b();
  const GroupPlan group = one_rank(model);
  const auto flop = [&](std::int64_t context, std::int64_t tokens) {
    return total(step_ops(model, group, {}, {{.context = context, .tokens = tokens, .wants_logits = false}}))
        .flop.value();
  };
  EXPECT_EQ(flop(0, 700) + flop(700, 300) + flop(1000, 24), flop(0, 1024));
}

TEST(StepOps, OrderOfALayer) {
  Model model = smollm2();
  model.qk_norm = true;
  model.layers = 1;
  const GroupPlan group = make_plan(model, "p", 1, {1, 1}, {}, Dtype::kBf16, {}, 16).groups[0];
  std::vector<OpKind> kinds;
  for (const Op& op : step_ops(model, group, {0, 1}, {decode_at(3), {.context = 4, .tokens = 5}})) {
    kinds.push_back(op.kind);
  }
  EXPECT_EQ(kinds,
            (std::vector<OpKind>{
                OpKind::kEmbedding, OpKind::kNorm, OpKind::kGemm, OpKind::kNorm,
                OpKind::kRopeKvWrite, OpKind::kAttentionPrefill, OpKind::kAttentionDecode,
                OpKind::kGemm, OpKind::kAllReduce, OpKind::kResidual, OpKind::kNorm, OpKind::kGemm,
                OpKind::kActivation, OpKind::kGemm, OpKind::kAllReduce, OpKind::kResidual,
                OpKind::kNorm, OpKind::kGemm, OpKind::kSample, OpKind::kAllGather}));
}

// A first prompt token alone is a prefill: it has no context.
TEST(StepOps, OneTokenPromptIsPrefill) {
  const Model model = smollm2();
  const auto ops = step_ops(model, one_rank(model), {}, {{.context = 0, .tokens = 1}});
  EXPECT_TRUE(std::any_of(ops.begin(), ops.end(),
                          [](const Op& op) { return op.kind == OpKind::kAttentionPrefill; }));
}

TEST(StepOps, EmptyBatchAndNoLogits) {
  const Model model = smollm2();
  EXPECT_TRUE(step_ops(model, one_rank(model), {}, {}).empty());
  const auto ops = step_ops(model, one_rank(model), {}, {{.context = 0, .tokens = 9, .wants_logits = false}});
  EXPECT_TRUE(std::none_of(ops.begin(), ops.end(),
                           [](const Op& op) { return op.site == GemmSite::kLmHead; }));
}

// Window 4: of 6 queries from position 2, keys seen are 3, 4, 4, 4, 4, 4 = 23; read are 2 + 6 = 8 without
// window 4's cut (context 2 ≤ 3). A decode at context 9 reads 4.
TEST(StepOps, SlidingWindow) {
  Model model = smollm2();
  model.layers = 2;
  model.sliding_window = {4, 0};
  const auto ops = step_ops(model, one_rank(model), {}, {{.context = 2, .tokens = 6}, decode_at(9)});
  std::vector<std::int64_t> keys;
  std::vector<double> pairs;
  for (const Op& op : ops) {
    if (op.kind != OpKind::kAttentionPrefill && op.kind != OpKind::kAttentionDecode) continue;
    keys.push_back(op.kv_tokens);
    pairs.push_back(op.flop.value() / (4.0 * 9 * 64));
  }
  EXPECT_EQ(keys, (std::vector<std::int64_t>{8, 4, 8, 10}));
  EXPECT_EQ(pairs, (std::vector<double>{23, 4, 33, 10}));
}

// DeepSeek-V3: 671.03 B parameters, 37.55 B of them active with embedding and head (arXiv 2412.19437: 671 and
// 37). Latent cache 576 × 2 B × 61 = 70,272 B per token; decode attention 2 · 128 · 1,088 FLOP per key.
TEST(StepOps, DeepSeekV3) {
  const Model model = deepseek_v3();
  EXPECT_NEAR(static_cast<double>(parameter_count(model)) / 1e9, 671.03, 0.01);
  EXPECT_NEAR(static_cast<double>(active_parameter_count(model)) / 1e9, 37.55, 0.1);
  const GroupPlan group = one_rank(model, Dtype::kFp8);
  EXPECT_EQ(kv_bytes_per_token(model, group, {}).value(), 70272.0);
  for (const Op& op : step_ops(model, group, {}, {decode_at(999)})) {
    if (op.kind == OpKind::kAttentionDecode) {
      EXPECT_EQ(op.flop.value(), 2.0 * 128 * 1088 * 1000);
    }
  }
}

// 8 of 64 experts, 10 tokens: 64 · (1 − (7/8)^10) = 47.2 experts.
TEST(StepOps, ExpertsHit) {
  Model model = smollm2();
  model.layers = 1;
  model.moe = {.experts = 64, .top_k = 8, .expert_ffn = 128};
  const auto ops = step_ops(model, one_rank(model), {}, {{.context = 0, .tokens = 10}});
  const double hit = 64 * (1 - std::pow(7.0 / 8.0, 10));
  EXPECT_NEAR(sum_of(ops, OpKind::kMoeGemm, &Op::weight_bytes), hit * 3 * 576 * 128 * 2, 1e-6);
}

TEST(StepOps, SkewedRoutingHitsFewerExpertsWithTheSamePairs) {
  Model model = smollm2();
  model.layers = 1;
  model.moe = {.experts = 128, .top_k = 8, .expert_ffn = 128};
  const Batch batch{{.context = 0, .tokens = 64}};
  const auto even = step_ops(model, one_rank(model), {}, batch);
  const auto skewed = step_ops(model, one_rank(model), {}, batch, {.expert_skew = 1.2});
  EXPECT_LT(total(skewed).weight_bytes, total(even).weight_bytes);
  EXPECT_NEAR(total(skewed).flop.value() / total(even).flop.value(), 1.0, 1e-12);
}

RC_GTEST_PROP(StepOps, FoldingChangesNothing, ()) {
  Model model = deepseek_v3();
  model.layers = *rc::gen::inRange<std::int64_t>(1, 12);
  const Batch batch{decode_at(*rc::gen::inRange<std::int64_t>(1, 500)), {.context = 3, .tokens = 17}};
  const GroupPlan group = one_rank(model, Dtype::kFp8);
  const OpTotals folded = total(step_ops(model, group, {}, batch));
  const OpTotals plain = total(step_ops(model, group, {}, batch, {.fold_layers = false}));
  RC_ASSERT(std::abs(folded.flop / plain.flop - 1.0) < 1e-12);
  RC_ASSERT(std::abs(folded.weight_bytes / plain.weight_bytes - 1.0) < 1e-12);
  RC_ASSERT(std::abs(folded.activation_bytes / plain.activation_bytes - 1.0) < 1e-12);
  RC_ASSERT(folded.kv_bytes == plain.kv_bytes);
}

// ---- Σ over the ranks of any sharding = unsharded + named overheads ------------------------------------

Batch any_batch() {
  Batch batch;
  const int n = *rc::gen::inRange(1, 6);
  for (int i = 0; i < n; ++i) {
    Slice slice;
    slice.context = *rc::gen::inRange(0, 60);
    slice.tokens = *rc::gen::element<std::int64_t>(1, 1, 2, 17, 40);
    slice.wants_logits = *rc::gen::arbitrary<bool>();
    batch.push_back(slice);
  }
  return batch;
}

GroupPlan whole(const Model& model, GroupPlan group) {
  group.stages = {{{0, model.layers},
                   {{"pool",
                     {{0, model.q_heads}, {0, model.kv_heads}, {0, model.ffn}, {0, model.vocab},
                      {0, model.moe.experts}},
                     0}}}};
  return group;
}

// Counts are whole numbers and must agree exactly; the expected number of experts hit is a fraction.
void expect_equal(double sharded, double expected, bool fractional, const char* what) {
  if (fractional) {
    RC_ASSERT(std::abs(sharded - expected) <= 1e-12 * std::max(1.0, std::abs(expected)));
  } else if (sharded != expected) {
    RC_FAIL(std::string(what) + ": " + std::to_string(sharded) + " != " + std::to_string(expected));
  }
}

RC_GTEST_PROP(Sharding, SumsToUnshardedPlusNamedOverheads, ()) {
  const Model model = any_model();
  const GroupPlan group = any_group(model);
  validate_plan({"plan", {group}}, model, "plan.json");
  const Batch batch = any_batch();
  OpTotals sum;
  Bytes stored{0};
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    for (std::size_t r = 0; r < group.stages[s].ranks.size(); ++r) {
      const ShardId shard{static_cast<int>(s), static_cast<int>(r)};
      const OpTotals part = total(step_ops(model, group, shard, batch));
      sum.flop += part.flop;
      sum.weight_bytes += part.weight_bytes;
      sum.activation_bytes += part.activation_bytes;
      sum.kv_bytes += part.kv_bytes;
      sum.message_bytes += part.message_bytes;
      stored += weight_bytes(model, group, shard);
    }
  }
  const GroupPlan single = whole(model, group);
  const OpTotals base = total(step_ops(model, single, {}, batch));
  const ShardingOverhead more = sharding_overhead(model, group, batch);
  const bool moe = model.is_moe();
  expect_equal(sum.flop.value(),
               (base.flop + more.replicated_kv_flop + more.replicated_flop).value(), moe, "FLOP");
  expect_equal(
      sum.weight_bytes.value(),
      (base.weight_bytes + more.replicated_kv_weights + more.replicated_weights).value(), moe,
      "weights");
  expect_equal(sum.kv_bytes.value(), (base.kv_bytes + more.replicated_kv_cache).value(), false, "KV");
  expect_equal(sum.activation_bytes.value(),
               (base.activation_bytes + more.replicated_activation).value(), moe, "activations");
  expect_equal(base.message_bytes.value(), 0.0, false, "messages of one rank");
  expect_equal(sum.message_bytes.value(), more.messages.value(), moe, "messages");
  expect_equal(stored.value(),
               (weight_bytes(model, single, {}) + storage_overhead(model, group).total()).value(),
               false, "stored weights");
  RC_ASSERT(sharding_overhead(model, single, batch) == ShardingOverhead{});
}

RC_GTEST_PROP(Parameters, MatchTheStoredBytesOfOneRank, ()) {
  const Model model = any_model();
  const GroupPlan group = one_rank(model, Dtype::kF32);
  RC_ASSERT(weight_bytes(model, group, {}).value() ==
            4.0 * static_cast<double>(parameter_count(model)));
}

}  // namespace
}  // namespace lindos
