// SPDX-License-Identifier: Apache-2.0
#include "scenarios/capacity.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <variant>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/scenario.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

GroupPlan group_of(const Model& model, int stages, const std::vector<double>& weights,
                   const EngineLimits& limits, std::int64_t granule = kGpuGranule) {
  return make_plan(model, "pool", stages, weights, {}, Dtype::kBf16, limits, granule).groups[0];
}
std::string reason(const std::variant<Capacity, Infeasible>& answer) {
  const auto* infeasible = std::get_if<Infeasible>(&answer);
  return infeasible == nullptr ? "fits" : infeasible->reason;
}

// SmolLM2 on one CPU rank, T = 100 tokens, S = 4 sequences, f32:
// 3·576 + (9 + 6)·64 + 9·64 + 3·1,536 = 7,872 floats per token; logits 4 × 49,152 floats.
TEST(ActivationBytes, SmolLm2) {
  EngineLimits limits;
  limits.max_batched_tokens = 100;
  limits.max_sequences = 4;
  const Model model = smollm2();
  EXPECT_EQ(activation_bytes(model, group_of(model, 1, {}, limits, kCpuGranule), {}).value(),
            4.0 * 100 * 7872 + 4.0 * 4 * 49152);
}

// One block of SmolLM2 in bf16: 16 tokens × 30 layers × 2 × 3 × 64 × 2 B = 368,640 B. 1 GB × 0.5 leaves, after
// 269,030,016 B of weights and 3,935,232 B of scratch, 227,034,752 B: 615 blocks.
TEST(KvCapacity, SmolLm2) {
  EngineLimits limits;
  limits.max_batched_tokens = 100;
  limits.max_sequences = 4;
  limits.memory_fraction = 0.5;
  const Model model = smollm2();
  const auto answer =
      kv_capacity(model, group_of(model, 1, {}, limits, kCpuGranule), {{Bytes{1e9}}});
  const auto& capacity = std::get<Capacity>(answer);
  EXPECT_EQ(capacity.kv_blocks, 615);
  const RankMemory& rank = capacity.ranks[0][0];
  EXPECT_EQ(rank.block.value(), 368640.0);
  EXPECT_EQ(rank.weights.value(), 269030016.0);
  EXPECT_EQ(rank.communication.value(), 0.0);
  EXPECT_EQ(rank.kv.value(), 615 * 368640.0);
}

TEST(KvCapacity, TheTightestRankDecides) {
  const Model model = smollm2();
  const GroupPlan group = group_of(model, 1, {1, 1}, {}, kCpuGranule);
  const auto blocks = [&](double a, double b) {
    return std::get<Capacity>(kv_capacity(model, group, {{Bytes{a}, Bytes{b}}})).kv_blocks;
  };
  EXPECT_EQ(blocks(2e9, 8e9), blocks(2e9, 2e9));
  EXPECT_LT(blocks(2e9, 8e9), blocks(8e9, 8e9));
}

TEST(KvCapacity, AskedForBlocks) {
  const Model model = smollm2();
  EngineLimits limits;
  limits.kv_blocks = 100;
  EXPECT_EQ(std::get<Capacity>(kv_capacity(model, group_of(model, 1, {}, limits), {{Bytes{4e9}}})).kv_blocks,
            100);
  limits.max_context = 2000;  // ⌈2,000 / 16⌉ = 125 blocks
  EXPECT_EQ(reason(kv_capacity(model, group_of(model, 1, {}, limits), {{Bytes{4e9}}})),
            "a sequence of 2000 tokens needs 125 KV blocks; 100 were asked for: sequences of 1600 tokens fit");
  limits.kv_blocks = 1000000;
  EXPECT_NE(reason(kv_capacity(model, group_of(model, 1, {}, limits), {{Bytes{4e9}}}))
                .find("1000000 KV blocks were asked for; "),
            std::string::npos);
}

// Llama-3.1-405B: 405.85e9 × 2 B = 812 GB; the table of embeddings (2.1e9 × 2 B = 4.2 GB) lies on each of
// the eight ranks: 812 + 7 × 4.2 = 841 GB.
TEST(KvCapacity, ModelThatDoesNotFitSaysWhatItNeeds) {
  Model model = llama_8b();
  model.name = "llama-3.1-405b";
  model.hidden = 16384;
  model.layers = 126;
  model.q_heads = 128;
  model.ffn = 53248;
  const GroupPlan group = group_of(model, 1, std::vector<double>(8, 1.0), {});
  const std::string text =
      reason(kv_capacity(model, group, {std::vector<Bytes>(8, Bytes{80e9})}));
  EXPECT_EQ(text.substr(0, text.find(" Stage")),
            "llama-3.1-405b in bf16 needs 841 GB of weights; this group of 8 ranks has 576 GB (90 % of its "
            "memory).");
  EXPECT_NE(text.find("; with such ranks at least 12 are needed"), std::string::npos) << text;
}

RC_GTEST_PROP(KvCapacity, FillsTheMemoryButNeverMore, ()) {
  const Model model = smollm2();
  const int stages = *rc::gen::inRange(1, 4);
  const std::vector<double> weights(*rc::gen::inRange<std::size_t>(1, 5), 1.0);
  const GroupPlan group = group_of(model, stages, weights, {}, kCpuGranule);
  std::vector<std::vector<Bytes>> memory;
  for (int s = 0; s < stages; ++s) {
    memory.emplace_back();
    for (std::size_t r = 0; r < weights.size(); ++r) {
      memory.back().push_back(Bytes{1e6 * *rc::gen::inRange(1, 4000)});
    }
  }
  const auto answer = kv_capacity(model, group, memory);
  if (std::holds_alternative<Infeasible>(answer)) return;
  const auto& capacity = std::get<Capacity>(answer);
  bool full = false;
  for (std::size_t s = 0; s < memory.size(); ++s) {
    for (std::size_t r = 0; r < memory[s].size(); ++r) {
      const RankMemory& rank = capacity.ranks[s][r];
      const Bytes limit = 0.9 * memory[s][r];
      RC_ASSERT(rank.total() <= limit);
      full = full || rank.total() + rank.block > limit;
    }
  }
  RC_ASSERT(full);
}

// ---- the plan of a scenario without one ------------------------------------------------------------------

Scenario scenario_on(const Model& model, double memory, int domain, std::int64_t nodes) {
  Scenario s;
  s.model = model;
  Device device;
  device.name = "gpu";
  device.memory = Bytes{memory};
  device.memory_bandwidth = BytesPerSecond{3.35e12};
  device.scale_up_domain = domain;
  device.compute_capability = 90;
  s.devices["gpu"] = device;
  Pool pool;
  pool.name = "pool";
  pool.node = {.name = "node", .device = "gpu", .devices = 8};
  pool.nodes = nodes;
  s.cluster.pools.push_back(pool);
  s.workload.serving = {.requests = 64, .prompt = {512, 1024}, .output = {128, 128}};
  return s;
}

TEST(DefaultPlan, SmallestGroupThatFits) {
  // 16 GB of weights in 80 GB: one device, 16 replicas on two nodes.
  const Plan small = default_plan(scenario_on(llama_8b(), 80e9, 8, 2));
  ASSERT_EQ(small.groups.size(), 1U);
  EXPECT_EQ(small.groups[0].ranks_per_replica(), 1);
  EXPECT_EQ(small.groups[0].replicas, 16);
  // In 12 GB: two devices.
  const Plan pair = default_plan(scenario_on(llama_8b(), 12e9, 8, 2));
  EXPECT_EQ(pair.groups[0].stages.size(), 1U);
  EXPECT_EQ(pair.groups[0].ranks_per_replica(), 2);
  EXPECT_EQ(pair.groups[0].replicas, 8);
  // Without a scale-up domain stages take over.
  const Plan staged = default_plan(scenario_on(llama_8b(), 12e9, 1, 2));
  EXPECT_EQ(staged.groups[0].stages.size(), 2U);
  for (const Plan& plan : {small, pair, staged}) validate_plan(plan, llama_8b(), "default");
}

TEST(DefaultPlan, CpuIsOneRankWithTheCacheItsWorkloadUses) {
  Scenario s = scenario_on(smollm2(), 0.0, 1, 1);
  s.devices["gpu"].compute_capability = 0;
  s.workload.serving = {.requests = 8, .prompt = {64, 128}, .output = {32, 32}};
  const GroupPlan group = default_plan(s).groups.at(0);
  EXPECT_EQ(group.ranks_per_replica(), 1);
  EXPECT_EQ(group.activation_dtype, Dtype::kF32);
  EXPECT_EQ(group.limits.kv_blocks, 8 * 10);  // ⌈160 / 16⌉ per request
}

TEST(DefaultPlan, NothingFits) {
  Model model = llama_8b();
  model.layers = 2000;
  try {
    static_cast<void>(default_plan(scenario_on(model, 8e9, 8, 1)));
    FAIL() << "a plan was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(std::string(error.what()).find("of weights; this group of 8 ranks has"), std::string::npos)
        << error.what();
  }
}

TEST(DefaultPlan, TrainingFillsPoolsWithAlikeReplicas) {
  Scenario s = scenario_on(llama_8b(), 80e9, 8, 16);
  s.workload.kind = WorkloadKind::kTraining;
  s.workload.training = {.sequence = 8192, .global_batch = 1024, .micro_batch = 1};
  const GroupPlan group = default_plan(s).groups.at(0);
  EXPECT_EQ(group.role, Role::kTrain);
  EXPECT_EQ(group.stages.size(), 1U);
  EXPECT_EQ(group.ranks_per_replica(), 8);
  EXPECT_EQ(group.replicas, 16);
  s.workload.training.global_batch = 4;  // a replica without a micro-batch would only wait
  EXPECT_EQ(default_plan(s).groups.at(0).replicas, 4);
}

}  // namespace
}  // namespace lindos
