// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_ops.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/plan_json.h"
#include "scenarios/shard_shape.h"
#include "scenarios/training_plan.h"
#include "tests/scenarios/models.h"
#include "tests/scenarios/random_models.h"

namespace lindos {
namespace {

GroupPlan training_group(const Model& model, int stages, std::size_t tensor,
                         Dtype dtype = Dtype::kBf16) {
  GroupPlan group = make_plan(model, "pool", stages, std::vector<double>(tensor, 1.0), {}, dtype,
                              {}, kGpuGranule)
                        .groups.at(0);
  group.role = Role::kTrain;
  return group;
}

double count_of(const std::vector<Op>& ops, OpKind kind) {
  double count = 0.0;
  for (const Op& op : ops) count += op.kind == kind ? static_cast<double>(op.count) : 0.0;
  return count;
}
double messages_of(const std::vector<Op>& ops, OpKind kind) {
  double sum = 0.0;
  for (const Op& op : ops) {
    if (op.kind == kind) sum += static_cast<double>(op.count) * op.message_bytes.value();
  }
  return sum;
}
double flop_of(const std::vector<Op>& ops) { return total(ops).flop.value(); }

std::string names(const std::vector<Op>& ops) {
  std::string out;
  for (const Op& op : ops) {
    out += out.empty() ? "" : " ";
    out += op.site == GemmSite::kNone ? name_of(op.kind) : name_of(op.site);
    if (op.beside_next) out += "+";
  }
  return out;
}

// ---- Golden counts ---------------------------------------------------------------------------------------

// 12·L·h² in the four matrices of a layer (3 + 1 + 4 + 4 = 12), biases 3h + h + 4h + h = 9h and two norms 2h a layer,
// a final norm, V·h of the tied table and s·h positions. (The paper's 13h counts two biases of LayerNorm more.)
TEST(TrainingOps, Gpt3Parameters) {
  const Model m = gpt3_175b();
  const double h = 12288;
  EXPECT_EQ(static_cast<double>(parameter_count(m)),
            12.0 * 96 * h * h + 96 * 11 * h + h + (51200.0 + 2048) * h);
  EXPECT_NEAR(static_cast<double>(parameter_count(m)) / 1e9, 174.6, 0.05);
}

// Korthikanti et al., equation 7: 72·B·s·L·h²·(1 + s/6h + V/12hL) counts the full square of attention, as kernels
// that are not fused compute it: 2·(12h² + 2sh) forward per token and layer, 2hV for the head, three times that.
TEST(TrainingOps, UnfusedGpt3IsThePublishedFormula) {
  const Model m = gpt3_175b();
  GroupPlan group = training_group(m, 1, 1);
  group.training.fused_attention = false;
  TrainingWorkload training{.sequence = 2048, .global_batch = 4, .micro_batch = 4};
  const MicroBatchWork work = micro_batch_work(m, group, training, {}, 0);
  const double b = 4, s = 2048, l = 96, h = 12288, v = 51200;
  EXPECT_DOUBLE_EQ(flop_of(work.forward) + flop_of(work.backward),
                   72 * b * s * l * h * h * (1 + s / (6 * h) + v / (12 * h * l)));
  EXPECT_TRUE(work.recompute.empty());
  // Selective recomputation runs q·kᵀ and p·v once more: 4·b·s²·h a layer.
  training.recompute = Recompute::kSelective;
  EXPECT_DOUBLE_EQ(flop_of(micro_batch_work(m, group, training, {}, 0).recompute),
                   4 * b * s * s * h * l);
  // Full: all layers forward once more, not the head.
  training.recompute = Recompute::kFull;
  EXPECT_DOUBLE_EQ(flop_of(micro_batch_work(m, group, training, {}, 0).recompute),
                   24 * b * s * l * h * h * (1 + s / (6 * h)));
}

// The causal half: pairs s(s + 1)/2 of s². 6 FLOP per parameter of the matrices (all but positions, norms, biases)
// and 3 · 4 · h · pairs per layer.
TEST(TrainingOps, Gpt3UsefulWork) {
  const Model m = gpt3_175b();
  const TrainingWorkload training{.sequence = 2048, .global_batch = 1536, .micro_batch = 1};
  const double s = 2048, l = 96, h = 12288, v = 51200;
  const double per_token = 6 * (12 * l * h * h + v * h) + l * 12 * h * (s + 1) / 2;
  EXPECT_DOUBLE_EQ(model_flop_per_token(m, 2048).value(), per_token);
  EXPECT_DOUBLE_EQ(model_flop(m, training).value(), 1536 * s * per_token);
  // 6·P within the attention's 1.4 %: 1.06e12 FLOP per token.
  EXPECT_NEAR(per_token / (6 * static_cast<double>(parameter_count(m))), 1.014, 0.001);
}

// Llama-3.1-405B at 8,192: 6 × (405.85e9 − embedding 2.10e9) = 2.4225e12 and 126 × 12 × 16,384 × 8,193/2 =
// 0.1015e12 for attention: 2.524e12 FLOP per token.
TEST(TrainingOps, Llama405bUsefulWork) {
  Model m = llama_8b();
  m.hidden = 16384;
  m.layers = 126;
  m.q_heads = 128;
  m.ffn = 53248;
  EXPECT_NEAR(model_flop_per_token(m, 8192).value() / 1e12, 2.524, 0.001);
}

// A fused kernel's backward pass computes the scores again: 2.5 × instead of 2 × its forward FLOP.
TEST(TrainingOps, FusedAttentionBackwardIsFiveProducts) {
  const Model m = llama_8b();
  const TrainingWorkload training{.sequence = 8192, .global_batch = 1, .micro_batch = 1,
                                  .recompute = Recompute::kSelective};
  const MicroBatchWork work = micro_batch_work(m, training_group(m, 1, 1), training, {}, 0);
  const double attention = 4.0 * 4096 * (8192.0 * 8193.0 / 2) * 32;
  EXPECT_DOUBLE_EQ(flop_of(work.backward), 2 * flop_of(work.forward) + 0.5 * attention);
  EXPECT_TRUE(work.recompute.empty());  // the kernel keeps no scores that could be dropped
}

// ---- Order and shapes --------------------------------------------------------------------------------------

TEST(TrainingOps, OrderOfALayerWithTensorParallelism) {
  Model m = llama_8b();
  m.layers = 3;
  const GroupPlan group = training_group(m, 3, 2);
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const MicroBatchWork work = micro_batch_work(m, group, training, {1, 0}, 0);
  EXPECT_EQ(names(work.forward),
            "norm qkv rope_kv_write attention_prefill o all_reduce residual "
            "norm gate_up activation down all_reduce residual");
  EXPECT_EQ(names(work.backward),
            "residual down down activation gate_up all_reduce+ gate_up norm "
            "residual o o attention_backward rope_kv_write qkv all_reduce+ qkv norm");
  // Two sums of b·s·h forward and two backward.
  const double rows = 512.0 * 4096 * 2;
  EXPECT_EQ(messages_of(work.forward, OpKind::kAllReduce), 2 * rows);
  EXPECT_EQ(messages_of(work.backward, OpKind::kAllReduce), 2 * rows);
  // To the next stage each rank sends its half.
  EXPECT_EQ(work.forward_message.value(), rows / 2);
  EXPECT_EQ(work.backward_message.value(), rows / 2);
}

TEST(TrainingOps, WhichTensorMessagesRunBesideComputation) {
  Model m = llama_8b();
  m.layers = 3;
  GroupPlan group = training_group(m, 3, 2);
  group.training.sequence_parallel = true;
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const auto marks = [&](TensorOverlap overlap) {
    group.training.overlap_tensor = overlap;
    const MicroBatchWork work = micro_batch_work(m, group, training, {1, 0}, 0);
    std::string text;
    for (const std::vector<Op>* pass : {&work.forward, &work.backward}) {
      for (const Op& op : *pass) {
        if (op.group > 1) text += op.beside_next ? '+' : op.tiled ? '~' : '.';
      }
      text += '|';
    }
    return text;
  };
  // Forward: two gathers, two scatters. Backward, of each half of the layer: the gather of dy, the gather
  // of x again, the scatter of dx.
  EXPECT_EQ(marks(TensorOverlap::kNone), "....|......|");
  EXPECT_EQ(marks(TensorOverlap::kBackward), "....|.++.++|");
  EXPECT_EQ(marks(TensorOverlap::kTiles), "~~~~|~++~++|");
}

TEST(TrainingOps, FrozenWeightsHaveNoGradient) {
  Model m = llama_8b();
  m.layers = 3;
  const GroupPlan group = training_group(m, 3, 2);
  const TrainingWorkload training{
      .sequence = 512, .global_batch = 8, .micro_batch = 1, .frozen_weights = true};
  const MicroBatchWork work = micro_batch_work(m, group, training, {1, 0}, 0);
  EXPECT_EQ(names(work.backward),
            "residual down activation gate_up all_reduce norm "
            "residual o attention_backward rope_kv_write qkv all_reduce norm");
  const StepEnd end = step_end(m, group, {1, 0}, 4, 8, true);
  EXPECT_TRUE(end.optimizer.empty());
  EXPECT_EQ(end.dense.gradients.value(), 0.0);
}

TEST(TrainingOps, AnUnfusedLossGoesOverTheLogitsAgainAndAgain) {
  const Model m = llama_8b();
  GroupPlan group = training_group(m, 1, 1);
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const auto loss_bytes = [&](bool fused) {
    group.training.fused_loss = fused;
    double bytes = 0.0;
    const MicroBatchWork work = micro_batch_work(m, group, training, {}, 0);
    for (const std::vector<Op>* pass : {&work.forward, &work.backward}) {
      for (const Op& op : *pass) {
        if (op.kind == OpKind::kLoss) bytes += op.activation_bytes.value();
      }
    }
    return bytes / (512.0 * 128256);
  };
  EXPECT_EQ(loss_bytes(true), 2 * (2 + 4));
  EXPECT_EQ(loss_bytes(false), 38 + 14);
}

TEST(TrainingOps, OrderOfALayerWithSequenceParallelism) {
  Model m = llama_8b();
  m.layers = 3;
  GroupPlan group = training_group(m, 3, 2);
  group.training.sequence_parallel = true;
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const MicroBatchWork work = micro_batch_work(m, group, training, {1, 0}, 0);
  EXPECT_EQ(names(work.forward),
            "norm all_gather qkv rope_kv_write attention_prefill o reduce_scatter residual "
            "norm all_gather gate_up activation down reduce_scatter residual");
  EXPECT_EQ(names(work.backward),
            "residual all_gather down down activation all_gather+ gate_up reduce_scatter+ gate_up norm "
            "residual all_gather o o attention_backward rope_kv_write all_gather+ qkv reduce_scatter+ qkv norm");
  const double rows = 512.0 * 4096 * 2;
  EXPECT_EQ(messages_of(work.forward, OpKind::kAllGather), 2 * rows);
  EXPECT_EQ(messages_of(work.forward, OpKind::kReduceScatter), 2 * rows);
  EXPECT_EQ(work.forward_message.value(), rows / 2);
  // Norms work on half of the tokens each.
  EXPECT_EQ(work.forward.front().tokens, 256);
}

TEST(TrainingOps, GradientsOfAGemmHaveTheirOwnShapes) {
  Model m = llama_8b();
  m.layers = 3;
  GroupPlan group = training_group(m, 3, 2);
  group.training.gradient_dtype = Dtype::kBf16;
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 2};
  std::vector<Op> down;
  for (const Op& op : micro_batch_work(m, group, training, {1, 0}, 0).backward) {
    if (op.site == GemmSite::kDown) down.push_back(op);
  }
  ASSERT_EQ(down.size(), 2U);
  // y[1024, 4096] = x[1024, 7168] · Wᵀ
  EXPECT_EQ(std::vector<std::int64_t>({down[0].m, down[0].n, down[0].k}),
            std::vector<std::int64_t>({1024, 7168, 4096}));
  EXPECT_EQ(std::vector<std::int64_t>({down[1].m, down[1].n, down[1].k}),
            std::vector<std::int64_t>({4096, 7168, 1024}));
  EXPECT_EQ(down[0].flop.value(), 2.0 * 1024 * 7168 * 4096);
  EXPECT_EQ(down[1].flop.value(), down[0].flop.value());
  EXPECT_EQ(down[1].weight_bytes.value(), 2.0 * 2 * 4096 * 7168);  // bf16 buffer read and written
}

TEST(TrainingOps, EndsOfTheModel) {
  Model m = llama_8b();
  m.layers = 2;
  const GroupPlan group = training_group(m, 2, 2);
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const MicroBatchWork first = micro_batch_work(m, group, training, {0, 0}, 0);
  EXPECT_TRUE(names(first.forward).starts_with("embedding all_reduce norm qkv"));
  EXPECT_TRUE(names(first.backward).ends_with("qkv norm embedding"));
  EXPECT_EQ(first.backward_message.value(), 0.0);
  const MicroBatchWork last = micro_batch_work(m, group, training, {1, 1}, 0);
  EXPECT_TRUE(names(last.forward).ends_with("residual norm lm_head loss all_reduce"));
  EXPECT_TRUE(names(last.backward).starts_with("loss lm_head all_reduce+ lm_head norm residual"));
  EXPECT_EQ(last.forward_message.value(), 0.0);
  // Every token has logits: 512 × 64,128 rows of the head; three f32 numbers of each token are exchanged.
  const Op& head = *std::find_if(last.forward.begin(), last.forward.end(),
                                 [](const Op& op) { return op.site == GemmSite::kLmHead; });
  EXPECT_EQ(head.m, 512);
  EXPECT_EQ(head.n, 64128);
  EXPECT_EQ(last.forward.back().count, 3);
  EXPECT_EQ(last.forward.back().message_bytes.value(), 512 * 4.0);
}

// ---- Volumes of context and expert parallelism ---------------------------------------------------------------

// (cp − 1) · 2 · b · (s/cp) · g · d · a per layer forward, twice that backward; g = 4 of 8 KV heads on each of two
// tensor ranks.
TEST(TrainingOps, ContextRing) {
  const Model m = llama_8b();
  GroupPlan group = training_group(m, 1, 2);
  group.training.context_parallel = 4;
  const TrainingWorkload training{.sequence = 8192, .global_batch = 8, .micro_batch = 2};
  const MicroBatchWork work = micro_batch_work(m, group, training, {}, 0);
  const double layer = 3.0 * 2 * 2 * (8192.0 / 4) * 4 * 128 * 2;
  EXPECT_EQ(work.context_message.value(), 32 * layer);
  EXPECT_EQ(messages_of(work.forward, OpKind::kRingExchange) * 3 / 4, 32 * layer);
  EXPECT_EQ(messages_of(work.backward, OpKind::kRingExchange) * 3 / 4, 2 * 32 * layer);
  // Zigzag: every rank has a quarter of the pairs of 2 × 8,192² / 2.
  for (const Op& op : work.forward) {
    if (op.kind != OpKind::kAttentionPrefill) continue;
    EXPECT_EQ(op.flop.value(), 4.0 * 16 * 128 * 2 * (8192.0 * 8193 / 2) / 4);
  }
}

// Mixtral's shape: 8 experts, top 2. Every rank hands in b·s·top_k·h·a rows per dispatch and per combine.
TEST(TrainingOps, ExpertsDealtOutOverReplicas) {
  Model m = llama_8b();
  m.moe = {.experts = 8, .top_k = 2, .expert_ffn = 14336};
  GroupPlan group = training_group(m, 1, 1);
  const TrainingWorkload training{.sequence = 4096, .global_batch = 64, .micro_batch = 1};
  const MicroBatchWork alone = micro_batch_work(m, group, training, {}, 0);
  EXPECT_EQ(count_of(alone.forward, OpKind::kAllToAll), 0.0);
  group.replicas = 8;
  group.training.expert_parallel = 4;
  const MicroBatchWork dealt = micro_batch_work(m, group, training, {}, 0);
  const double rows = 4096.0 * 2 * 4096 * 2;
  EXPECT_EQ(dealt.expert_message.value(), 32 * rows);
  EXPECT_EQ(messages_of(dealt.forward, OpKind::kAllToAll), 2 * 32 * rows);
  EXPECT_EQ(messages_of(dealt.backward, OpKind::kAllToAll), 2 * 32 * rows);
  // As many pairs, of a quarter of the experts.
  EXPECT_EQ(flop_of(dealt.forward), flop_of(alone.forward));
  const auto experts_of = [](const MicroBatchWork& work) {
    return std::find_if(work.forward.begin(), work.forward.end(),
                        [](const Op& op) { return op.kind == OpKind::kMoeGemm; })
        ->experts_hit;
  };
  EXPECT_EQ(experts_of(alone), 8);
  EXPECT_EQ(experts_of(dealt), 2);
  // The weight gradient is one product per expert: 2 × (28,672 × 4,096 × 4,096 pairs).
  const auto weight = std::find_if(dealt.backward.rbegin(), dealt.backward.rend(), [](const Op& op) {
    return op.kind == OpKind::kMoeGemm && op.site == GemmSite::kGateUp;
  });
  EXPECT_EQ(weight->m, 2 * 28672);
  EXPECT_EQ(weight->n, 4096);
  EXPECT_EQ(weight->k, 4096);
}

// With sequence parallelism each of two ranks dispatches its half; as both hold columns of the same experts they
// gather b·s·top_k·h of each other's rows and scatter as much (Megatron Core).
TEST(TrainingOps, ExpertColumnsUnderSequenceParallelism) {
  Model m = llama_8b();
  m.layers = 1;
  m.moe = {.experts = 8, .top_k = 2, .expert_ffn = 14336};
  GroupPlan group = training_group(m, 1, 2);
  group.replicas = 4;
  group.training.expert_parallel = 4;
  group.training.sequence_parallel = true;
  const TrainingWorkload training{.sequence = 4096, .global_batch = 64, .micro_batch = 1};
  const MicroBatchWork work = micro_batch_work(m, group, training, {}, 0);
  const double rows = 4096.0 * 4096 * 2;
  EXPECT_EQ(work.expert_message.value(), rows);  // half of the tokens, two experts each
  // Attention, the head and, for 2 × as many rows, the experts.
  EXPECT_EQ(messages_of(work.forward, OpKind::kAllGather), rows + rows + 2 * rows);
  EXPECT_EQ(messages_of(work.forward, OpKind::kReduceScatter), rows + rows + 2 * rows);
}

// ---- 8-bit formats ----------------------------------------------------------------------------------------------

TEST(TrainingOps, Fp8CastsWhatNoKernelWritesInFp8) {
  Model m = llama_8b();
  m.layers = 3;
  const GroupPlan group = training_group(m, 3, 1, Dtype::kFp8);
  const TrainingWorkload training{.sequence = 512, .global_batch = 8, .micro_batch = 1};
  const MicroBatchWork work = micro_batch_work(m, group, training, {1, 0}, 0);
  EXPECT_EQ(count_of(work.forward, OpKind::kQuantise), 1.0);   // the attention output
  EXPECT_EQ(count_of(work.backward, OpKind::kQuantise), 4.0);  // dy of every GEMM
  for (const Op& op : work.forward) {
    if (op.kind == OpKind::kQuantise) {
      EXPECT_EQ(op.activation_bytes.value(), 512.0 * 4096 * (2 + 1 + 1));
    }
    if (op.site == GemmSite::kO) {
      EXPECT_EQ(op.weight_bytes.value(), 4096.0 * 4096);
    }
  }
}

// ---- The end of a step -------------------------------------------------------------------------------------------

TEST(StepEnd, ExchangeByZeroStage) {
  const Model m = llama_8b();
  GroupPlan group = training_group(m, 1, 1);
  group.replicas = 64;
  const auto end = [&](int zero) {
    group.training.zero_stage = zero;
    return step_end(m, group, {}, 64, 8);
  };
  const auto p = static_cast<double>(parameter_count(m));
  for (int zero = 0; zero <= 3; ++zero) {
    EXPECT_EQ(end(zero).dense.gradients.value(), 4 * p) << zero;
    EXPECT_EQ(end(zero).dense.parameters.value(), zero == 0 ? 0.0 : 2 * p) << zero;
    EXPECT_EQ(end(zero).dense.ranks, 64);
    EXPECT_EQ(end(zero).experts.gradients.value(), 0.0);
  }
  EXPECT_EQ(end(0).dense.reductions, 1.0);
  EXPECT_EQ(end(1).dense.gathers, 1.0);
  EXPECT_EQ(end(2).dense.reductions, 8.0);
  EXPECT_EQ(end(3).dense.gathers, 16.0);
  EXPECT_EQ(end(3).dense.reductions, 8.0);
  // The gradient: 4 bytes read for its norm, 8 scaled in place, 4 zeroed. Adam: gradient 4, states 12 read and 12
  // written, bf16 copy 2. A 64th of it when sharded.
  EXPECT_EQ(total(end(0).optimizer).activation_bytes.value(), 46 * p);
  EXPECT_DOUBLE_EQ(total(end(1).optimizer).activation_bytes.value(), 46 * p / 64);
}

TEST(StepEnd, TiedEmbeddingIsSummedBetweenTheEnds) {
  const Model m = gpt3_175b();
  const GroupPlan group = training_group(m, 4, 8);
  const double table = 51200.0 / 8 * 12288 * 4;
  EXPECT_EQ(step_end(m, group, {0, 0}, 1, 8).embedding_gradient.value(), table);
  EXPECT_EQ(step_end(m, group, {1, 0}, 1, 8).embedding_gradient.value(), 0.0);
  EXPECT_EQ(step_end(m, group, {3, 0}, 1, 8).embedding_gradient.value(), table);
  EXPECT_EQ(step_end(m, training_group(m, 1, 8), {}, 1, 8).embedding_gradient.value(), 0.0);
}

// 671.03 B parameters of DeepSeek-V3, 656.4 B of them in 58 × 256 experts of 3 × 7,168 × 2,048.
TEST(StepEnd, ExpertsAreHeldByFewerRanks) {
  Model m = deepseek_v3();
  GroupPlan group = training_group(m, 1, 1);
  group.replicas = 128;
  group.training.zero_stage = 1;
  group.training.expert_parallel = 64;
  const StepEnd end = step_end(m, group, {}, 128, 8);
  EXPECT_EQ(end.dense.ranks, 128);
  EXPECT_EQ(end.experts.ranks, 2);
  EXPECT_EQ(end.experts.gradients.value(), 58.0 * 4 * 3 * 7168 * 2048 * 4);
}

// ---- Properties ----------------------------------------------------------------------------------------------------

bool every_rank_has_a_head(const GroupPlan& group) {
  return std::all_of(group.stages.begin(), group.stages.end(), [](const StagePlan& stage) {
    return std::all_of(stage.ranks.begin(), stage.ranks.end(),
                       [](const RankPlan& r) { return !r.share.q_heads.empty(); });
  });
}

// A plan with any degrees that validate_training accepts.
Plan any_plan(const Model& model, TrainingWorkload& training) {
  const auto most = static_cast<int>(std::min<std::int64_t>(5, model.q_heads));
  const auto parts = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, most + 1),
                                                           rc::gen::inRange(2, 5));
  GroupPlan group = any_group(model, std::vector<double>(parts.begin(), parts.end()),
                              KvSplit::kReplicate);
  RC_PRE(every_rank_has_a_head(group));
  group.role = Role::kTrain;
  TrainingPlan& plan = group.training;
  plan.context_parallel = *rc::gen::element(1, 1, 2, 3);
  plan.zero_stage = *rc::gen::inRange(0, 4);
  plan.gradient_dtype = *rc::gen::element(Dtype::kF32, Dtype::kBf16);
  const auto tensor = static_cast<std::int64_t>(group.stages.front().ranks.size());
  training.sequence = 2 * plan.context_parallel * tensor * *rc::gen::inRange(1, 5);
  training.micro_batch = *rc::gen::inRange(1, 4);
  training.dropout = *rc::gen::arbitrary<bool>();
  training.recompute =
      *rc::gen::element(Recompute::kNone, Recompute::kSelective, Recompute::kFull);
  plan.sequence_parallel = *rc::gen::arbitrary<bool>();
  plan.fused_attention = plan.context_parallel > 1 || *rc::gen::arbitrary<bool>();
  group.replicas = *rc::gen::inRange(1, 4);
  if (model.is_moe()) {
    const std::int64_t ranks = group.replicas * plan.context_parallel;
    std::vector<std::int64_t> degrees{1};
    for (std::int64_t n = 2; n <= ranks; ++n) {
      const bool even = std::all_of(group.stages.begin(), group.stages.end(), [&](const auto& s) {
        return std::all_of(s.ranks.begin(), s.ranks.end(), [&](const RankPlan& r) {
          return r.share.experts.size() % n == 0;
        });
      });
      if (even && ranks % n == 0) degrees.push_back(n);
    }
    plan.expert_parallel = *rc::gen::elementOf(degrees);
  }
  std::int64_t fewest = model.layers;
  for (const StagePlan& stage : group.stages) fewest = std::min(fewest, stage.layers.size());
  if (group.stages.size() > 1) {
    plan.virtual_stages = *rc::gen::inRange(1, static_cast<int>(fewest) + 1);
  }
  training.global_batch =
      training.micro_batch * group.replicas * *rc::gen::inRange<std::int64_t>(1, 20);
  return {"plan", {group}};
}

// Σ over stages, ranks, chunks and context ranks of forward and backward FLOP = 3 × the unsharded forward pass
//   + the scores that fused backward kernels compute again, half of the forward attention
//   + the masked half, where attention is not fused
//   + 3 × projections that several ranks repeat (sharding_overhead): KV heads held twice; router and latent
//     down-projection, unless sequence parallelism deals the tokens out.
RC_GTEST_PROP(TrainingSharding, FlopSumsToUnshardedPlusNamedOverheads, ()) {
  Model model = any_model();
  TrainingWorkload training;
  const Plan plan = any_plan(model, training);
  const GroupPlan& group = plan.groups[0];
  // A window makes context ranks unequal; the busiest one stands for all.
  if (group.training.context_parallel > 1) model.sliding_window.clear();
  if (!group.training.fused_attention) model.sliding_window.clear();
  validate_plan(plan, model, "plan.json");
  validate_training(plan, model, training, "plan.json");

  double sum = 0.0;
  double fused = 0.0;
  double unfused = 0.0;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    for (std::size_t r = 0; r < group.stages[s].ranks.size(); ++r) {
      for (int c = 0; c < group.training.virtual_stages; ++c) {
        const MicroBatchWork work = micro_batch_work(
            model, group, training, {static_cast<int>(s), static_cast<int>(r)}, c);
        sum += flop_of(work.forward) + flop_of(work.backward);
        for (const Op& op : work.forward) {
          const double flop = static_cast<double>(op.count) * op.flop.value();
          if (op.kind == OpKind::kAttentionPrefill) fused += flop;
          if (op.kind == OpKind::kBatchedGemm) unfused += flop;
        }
      }
    }
  }
  const auto context = static_cast<double>(group.training.context_parallel);
  const auto sequence = static_cast<double>(training.sequence);
  const Batch local{{.context = 0, .tokens = training.micro_batch * training.sequence /
                                             group.training.context_parallel}};
  const ShardingOverhead repeated = sharding_overhead(model, group, local);
  double repeats = repeated.replicated_kv_flop.value();
  if (!group.training.sequence_parallel) repeats += repeated.replicated_flop.value();
  const double useful = model_flop_per_token(model, training.sequence).value() * sequence *
                        static_cast<double>(training.micro_batch);
  // Of s² pairs s(s − 1)/2 are masked.
  const double masked = unfused * (sequence - 1.0) / (2.0 * sequence);
  const double expected = useful + context * (0.5 * fused + 3.0 * repeats) + 3.0 * masked;
  RC_ASSERT(std::abs(context * sum / expected - 1.0) < 1e-12);
}

// Σ over ranks of parameters = all of them + what several ranks hold.
RC_GTEST_PROP(TrainingSharding, ParametersSumToTheModelPlusCopies, ()) {
  const Model model = any_model();
  TrainingWorkload training;
  const Plan plan = any_plan(model, training);
  GroupPlan group = plan.groups[0];
  group.weight_dtype = Dtype::kF32;
  double sum = 0.0;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    for (std::size_t r = 0; r < group.stages[s].ranks.size(); ++r) {
      const RankParameters held =
          rank_parameters(model, group, {static_cast<int>(s), static_cast<int>(r)});
      sum += held.dense() + held.experts * static_cast<double>(group.training.expert_parallel);
    }
  }
  const StorageOverhead copies = storage_overhead(model, group);
  const double first = static_cast<double>(group.stages.front().ranks.size());
  const double positions =
      model.learned_positions
          ? static_cast<double>(model.max_positions) * static_cast<double>(model.hidden)
          : 0.0;
  const double expected = static_cast<double>(parameter_count(model)) +
                          (copies.kv_heads + copies.per_rank + copies.tied_copy).value() / 4.0 +
                          (first - 1.0) * positions;
  RC_ASSERT(std::abs(sum / expected - 1.0) < 1e-12);
}

RC_GTEST_PROP(TrainingSharding, BackwardMessagesMirrorForward, ()) {
  const Model model = any_model();
  TrainingWorkload training;
  const Plan plan = any_plan(model, training);
  const GroupPlan& group = plan.groups[0];
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const MicroBatchWork work =
        micro_batch_work(model, group, training, {static_cast<int>(s), 0}, 0);
    RC_ASSERT(messages_of(work.forward, OpKind::kAllToAll) ==
              messages_of(work.backward, OpKind::kAllToAll));
    const bool last = s + 1 == group.stages.size() && group.training.virtual_stages == 1;
    if (!group.training.sequence_parallel) {
      // Two sums per layer each way; on the last stage one more for the rows that enter the head.
      const double sums = group.stages[s].ranks.size() == 1
                              ? 0.0
                              : 2.0 * static_cast<double>(
                                          chunk_layers(group, static_cast<int>(s), 0).size()) +
                                    (last ? 1.0 : 0.0);
      RC_ASSERT(count_of(work.backward, OpKind::kAllReduce) == sums);
      continue;
    }
    // What is gathered forward is scattered backward.
    RC_ASSERT(messages_of(work.forward, OpKind::kAllGather) ==
              messages_of(work.backward, OpKind::kReduceScatter));
    RC_ASSERT(messages_of(work.forward, OpKind::kReduceScatter) <=
              messages_of(work.backward, OpKind::kAllGather));
  }
}

RC_GTEST_PROP(TrainingSharding, OnlyForwardOpsKeepTensors, ()) {
  const Model model = any_model();
  TrainingWorkload training;
  const Plan plan = any_plan(model, training);
  const MicroBatchWork work = micro_batch_work(model, plan.groups[0], training, {}, 0);
  for (const Op& op : work.backward) {
    RC_ASSERT(op.saved_bytes == Bytes{0});
    RC_ASSERT(op.activation_bytes >= Bytes{0} && op.count >= 1 && op.m >= 0 && op.n >= 0);
  }
  if (training.recompute == Recompute::kNone) RC_ASSERT(work.recompute.empty());
}

}  // namespace
}  // namespace lindos
