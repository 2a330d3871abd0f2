// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_memory.h"

#include <gtest/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/training_ops.h"
#include "scenarios/training_plan.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

constexpr double kSequence = 2048;
constexpr double kHidden = 12288;

GroupPlan group_of(const Model& model, int stages, std::size_t tensor) {
  GroupPlan group = make_plan(model, "pool", stages, std::vector<double>(tensor, 1.0), {},
                              Dtype::kBf16, {}, kGpuGranule)
                        .groups.at(0);
  group.role = Role::kTrain;
  return group;
}

// ---- Activations: Korthikanti et al., arXiv 2205.05198 ---------------------------------------------------------

// One layer of GPT-3 on the middle one of three stages, one micro-batch in flight.
double layer_activations(std::size_t tensor, bool sequence_parallel, bool fused,
                         Recompute recompute) {
  Model m = gpt3_175b();
  m.layers = 3;
  GroupPlan group = group_of(m, 3, tensor);
  group.training.sequence_parallel = sequence_parallel;
  group.training.fused_attention = fused;
  const TrainingWorkload training{.sequence = 2048, .global_batch = 1, .micro_batch = 1,
                                  .recompute = recompute, .dropout = true};
  return training_memory(m, group, training, {1, 0}, 1, 1).activations.value();
}

constexpr double kSbh = kSequence * kHidden;
constexpr double kScores = 5 * 96 * kSequence / kHidden;  // 5·a·s/h

TEST(TrainingMemory, ActivationsOfAGptLayer) {
  EXPECT_DOUBLE_EQ(layer_activations(1, false, false, Recompute::kNone), kSbh * (34 + kScores));
  // Equation 2: tensor parallelism leaves norms, their outputs and dropout masks, 10, on every rank.
  EXPECT_DOUBLE_EQ(layer_activations(8, false, false, Recompute::kNone),
                   kSbh * (10 + (24 + kScores) / 8));
  // Equation 4: sequence parallelism divides all.
  EXPECT_DOUBLE_EQ(layer_activations(8, true, false, Recompute::kNone), kSbh * (34 + kScores) / 8);
  // Selective recomputation drops the scores, full recomputation all but the input.
  EXPECT_DOUBLE_EQ(layer_activations(8, true, false, Recompute::kSelective), kSbh * 34 / 8);
  EXPECT_DOUBLE_EQ(layer_activations(8, false, false, Recompute::kFull), kSbh * 2);
  EXPECT_DOUBLE_EQ(layer_activations(8, true, false, Recompute::kFull), kSbh * 2 / 8);
}

// A fused kernel keeps no scores but the f32 log-sum-exp of every row: 4·a/h.
TEST(TrainingMemory, FusedAttentionKeepsNoScores) {
  EXPECT_DOUBLE_EQ(layer_activations(1, false, true, Recompute::kNone), kSbh * (34 + 4.0 * 96 / kHidden));
}

// Section 4.3: on the last stage 2·s·b·h each for the input of the final norm and of the head, 4·s·b·v of logits; on the
// first a dropout mask s·b·h per micro-batch in flight.
TEST(TrainingMemory, EndsOfAGpt) {
  Model m = gpt3_175b();
  m.layers = 3;
  GroupPlan group = group_of(m, 3, 8);
  group.training.sequence_parallel = true;
  group.training.fused_attention = false;
  const TrainingWorkload training{.sequence = 2048, .global_batch = 8, .micro_batch = 1,
                                  .recompute = Recompute::kSelective, .dropout = true};
  const TrainingMemory last = training_memory(m, group, training, {2, 0}, 1, 8);
  EXPECT_DOUBLE_EQ(last.activations.value(), kSbh * (34 + 4) / 8);
  EXPECT_DOUBLE_EQ(last.logits.value(), 4 * kSequence * 51200 / 8);
  const TrainingMemory first = training_memory(m, group, training, {0, 0}, 1, 8);
  EXPECT_EQ(first.in_flight, 3);
  EXPECT_DOUBLE_EQ(first.activations.value(), 3 * kSbh * (34 + 1) / 8);
  EXPECT_EQ(first.logits.value(), 0.0);
}

// Llama-3.1-8B, one layer, 8,192 tokens, bf16. Per token 2 bytes each of: two norm inputs and two norm outputs
// 4 · 4,096, q|k|v 6,144, attention output 4,096, gate|up 28,672, their product 14,336 = 69,632 elements; and an f32 for
// each of 32 heads. 1.142 GB.
TEST(TrainingMemory, ActivationsOfAGatedLayerWithGroupedHeads) {
  Model m = llama_8b();
  m.layers = 3;
  const TrainingWorkload training{.sequence = 8192, .global_batch = 1, .micro_batch = 1};
  EXPECT_EQ(training_memory(m, group_of(m, 3, 1), training, {1, 0}, 1, 1).activations.value(),
            8192.0 * (2 * 69632 + 4 * 32));
}

// 4 stages × 3 chunks of one layer, 15 passes in flight on the first stage (training_plan_test.cpp).
TEST(TrainingMemory, InterleavingKeepsMore) {
  Model m = llama_8b();
  m.layers = 12;
  GroupPlan group = group_of(m, 4, 1);
  for (std::size_t s = 0; s < 4; ++s) {
    group.stages[s].layers = {3 * static_cast<std::int64_t>(s), 3 * static_cast<std::int64_t>(s) + 3};
  }
  const TrainingWorkload training{.sequence = 8192, .global_batch = 16, .micro_batch = 1};
  const double layer = 8192.0 * (2 * 69632 + 4 * 32);
  EXPECT_EQ(training_memory(m, group, training, {0, 0}, 1, 16).activations.value(), 4 * 3 * layer);
  group.training.virtual_stages = 3;
  EXPECT_EQ(training_memory(m, group, training, {0, 0}, 1, 16).activations.value(), 15 * layer);
}

// ---- State: bytes per parameter (Megatron Core, distributed optimizer; ZeRO, arXiv 1910.02054) --------------------

double state_per_parameter(int zero, Dtype gradients, std::int64_t copies) {
  const Model m = llama_8b();
  GroupPlan group = group_of(m, 1, 1);
  group.training.zero_stage = zero;
  group.training.gradient_dtype = gradients;
  const TrainingWorkload training{.sequence = 128, .global_batch = 64, .micro_batch = 1};
  const TrainingMemory memory = training_memory(m, group, training, {}, copies, 1);
  return (memory.weights + memory.gradients + memory.optimizer).value() /
         static_cast<double>(parameter_count(m));
}

TEST(TrainingMemory, StateByZeroStage) {
  EXPECT_DOUBLE_EQ(state_per_parameter(0, Dtype::kF32, 64), 18.0);
  EXPECT_DOUBLE_EQ(state_per_parameter(1, Dtype::kF32, 64), 6.0 + 12.0 / 64);
  EXPECT_DOUBLE_EQ(state_per_parameter(1, Dtype::kBf16, 64), 4.0 + 16.0 / 64);
  EXPECT_DOUBLE_EQ(state_per_parameter(2, Dtype::kF32, 64), 2.0 + 16.0 / 64);
  EXPECT_DOUBLE_EQ(state_per_parameter(3, Dtype::kF32, 64), 18.0 / 64);
}

TEST(TrainingMemory, ExpertsAreHeldAndShardedByExpertRanks) {
  Model m = llama_8b();
  m.moe = {.experts = 8, .top_k = 2, .expert_ffn = 14336};
  GroupPlan group = group_of(m, 1, 1);
  group.replicas = 16;
  group.training.zero_stage = 1;
  const TrainingWorkload training{.sequence = 128, .global_batch = 64, .micro_batch = 1};
  const double experts = 32.0 * 8 * 3 * 4096 * 14336;
  const double dense = static_cast<double>(parameter_count(m)) - experts;
  group.training.expert_parallel = 8;
  const TrainingMemory memory = training_memory(m, group, training, {}, 16, 4);
  EXPECT_DOUBLE_EQ(memory.weights.value(), 2 * (dense + experts / 8));
  EXPECT_DOUBLE_EQ(memory.optimizer.value(), 12 * (dense / 16 + experts / 8 / 2));
}

// fp8: projections in two layouts of a byte; embedding and head stay in bf16.
TEST(TrainingMemory, Fp8Weights) {
  Model m = llama_8b();
  GroupPlan group = make_plan(m, "pool", 1, {}, {}, Dtype::kFp8, {}, kGpuGranule).groups.at(0);
  const TrainingWorkload training{.sequence = 128, .global_batch = 64, .micro_batch = 1};
  EXPECT_EQ(training_memory(m, group, training, {}, 64, 1).weights.value(),
            2.0 * static_cast<double>(parameter_count(m)));
}

// ---- Does it fit? ---------------------------------------------------------------------------------------------------

struct Published {
  const char* name;
  Model model;
  int stages;
  int chunks;
  std::int64_t micro_batch;
  std::int64_t micro_batches;
};

// Table 3 of arXiv 2205.05198: TP 8, no data parallelism, on A100s of 80 GB. What was run must fit; without
// recomputation and sequence parallelism none does (figure 1).
std::vector<Published> published() {
  const auto model = [](std::int64_t hidden, std::int64_t layers, std::int64_t heads) {
    Model m = gpt3_175b();
    m.hidden = hidden;
    m.layers = layers;
    m.q_heads = m.kv_heads = heads;
    m.head_dim = hidden / heads;
    m.ffn = 4 * hidden;
    return m;
  };
  return {{"22B", model(6144, 48, 64), 1, 1, 4, 1},
          {"175B", model(12288, 96, 96), 8, 3, 1, 64},
          {"530B", model(20480, 105, 128), 35, 3, 1, 280},
          {"1T", model(25600, 128, 160), 64, 1, 1, 512}};
}

std::variant<FullestRank, Infeasible> fit(const Published& p, bool sequence_parallel,
                                          Recompute recompute, double bytes) {
  GroupPlan group = group_of(p.model, p.stages, 8);
  group.training.virtual_stages = p.chunks;
  group.training.sequence_parallel = sequence_parallel;
  group.training.fused_attention = false;
  const auto layers = p.model.layers / p.stages;
  for (int s = 0; s < p.stages; ++s) {
    group.stages[static_cast<std::size_t>(s)].layers = {s * layers, (s + 1) * layers};
  }
  const TrainingWorkload training{.sequence = 2048,
                                  .global_batch = p.micro_batch * p.micro_batches,
                                  .micro_batch = p.micro_batch,
                                  .recompute = recompute,
                                  .dropout = true};
  const Plan plan{"p", {group}};
  validate_training(plan, p.model, training, p.name);
  const std::vector<std::vector<Bytes>> memory(group.stages.size(),
                                               std::vector<Bytes>(8, Bytes{bytes}));
  return fits_in_training(plan, plan.groups[0], p.model, training, memory);
}

std::string why_not(const std::variant<FullestRank, Infeasible>& answer) {
  const auto* infeasible = std::get_if<Infeasible>(&answer);
  return infeasible == nullptr ? "fits" : infeasible->reason;
}

TEST(FitsInTraining, PublishedRunsFitAndWhatTheyAvoidedDoesNot) {
  for (const Published& p : published()) {
    for (const auto& [sequence_parallel, recompute] :
         {std::pair{false, Recompute::kFull}, std::pair{true, Recompute::kSelective}}) {
      EXPECT_EQ(why_not(fit(p, sequence_parallel, recompute, 80 * kGiB)), "fits") << p.name;
    }
    EXPECT_TRUE(std::holds_alternative<Infeasible>(fit(p, false, Recompute::kNone, 80 * kGiB)))
        << p.name;
  }
}

// 175B on stage 0: 12 layers × 1.812e9 / 8 and an eighth of the tables are 2.82e9 parameters, × 2, 4 and 12 bytes. In
// flight are 15 + 8 + 8 passes of 4 layers × s·b·h·(10 + (24 + 80)/8) = 0.579e9 and 15 masks of 25e6: 67.2 GiB.
TEST(FitsInTraining, SaysWhatWouldFit) {
  EXPECT_EQ(why_not(fit(published()[1], false, Recompute::kNone, 80 * kGiB)),
            "group pool, stage 0 rank 0 needs 118.2 GiB of 80.0 GiB (weights 5.3, gradients 10.5, optimizer 31.5, "
            "activations 67.2 (15 micro-batches in flight), logits 0.0, working 0.1, communication 0.4, reserve "
            "3.3); full recompute would fit");
}

// 8.03e9 parameters × 18 bytes are 134.6 GiB, with ZeRO-1 46.3, with ZeRO-2 16.8; 45 GiB of activations and the rest.
TEST(FitsInTraining, SaysWhichZeroStageWouldFit) {
  Model m = llama_8b();
  GroupPlan group = group_of(m, 1, 1);
  group.replicas = 64;
  const TrainingWorkload training{.sequence = 8192, .global_batch = 64, .micro_batch = 1};
  const auto why = [&](double gib) {
    const Plan plan{"p", {group}};
    return why_not(fits_in_training(plan, plan.groups[0], m, training, {{Bytes{gib * kGiB}}}));
  };
  EXPECT_EQ(why(200), "fits");
  EXPECT_NE(why(100).find("; ZeRO-1 or "), std::string::npos) << why(100);
  EXPECT_NE(why(72).find("; ZeRO-2 or "), std::string::npos) << why(72);
}

// Of 52 GiB the state takes 46.5 and the reserve 3.3.
TEST(FitsInTraining, SaysWhenNoChangeAloneIsEnough) {
  EXPECT_EQ(why_not(fit(published()[0], false, Recompute::kNone, 52 * kGiB)),
            "group pool, stage 0 rank 0 needs 110.0 GiB of 52.0 GiB (weights 5.2, gradients 10.3, optimizer 31.0, "
            "activations 59.5 (1 micro-batch in flight), logits 0.2, working 0.2, communication 0.4, reserve 3.3); "
            "no change alone is enough; full recompute, sequence parallelism and micro-batches of 1 together would "
            "fit");
}

TEST(FitsInTraining, SaysWhenNothingHelps) {
  EXPECT_EQ(why_not(fit(published()[3], true, Recompute::kFull, 2 * kGiB)),
            "group pool, stage 0 rank 0 needs 43.0 GiB of 2.0 GiB (weights 4.1, gradients 8.1, optimizer 24.4, "
            "activations 2.0 (64 micro-batches in flight), logits 0.0, working 0.7, communication 0.4, reserve 3.3); "
            "even with full recompute, sequence parallelism and micro-batches of 1 it needs 43.0 GiB; use more "
            "tensor ranks or larger devices");
}

}  // namespace
}  // namespace lindos
