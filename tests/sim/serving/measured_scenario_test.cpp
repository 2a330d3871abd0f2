// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_scenario.h"

#include <variant>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "sim/serving/measured_models.h"

namespace lindos::sim {
namespace {

const Catalogue& catalogue() {
  static const Catalogue loaded = load_catalogue(default_catalogue_dir());
  return loaded;
}

MeasuredRow row_of(const std::string& model, std::int64_t tensor) {
  MeasuredRow row;
  row.where = "m.csv:2";
  row.engine = "trtllm";
  row.model = model;
  row.system = "h200_sxm";
  row.gemm_format = "fp8";
  row.prompt = 1024;
  row.output = 256;
  row.concurrency = 10;
  row.aggregated = MeasuredWorkers{.tensor = tensor};
  return row;
}

std::string miss(const MeasuredRow& row) {
  const auto described = measured_scenario(row, catalogue());
  const auto* reason = std::get_if<MeasuredMiss>(&described);
  return reason == nullptr ? "described" : reason->reason;
}

TEST(MeasuredModels, NamesOfCheckpointsAreShapesOfTheCatalogue) {
  const auto name = [](const char* of) { return find_measured_model(of, catalogue()).value_or(Model{}).name; };
  EXPECT_EQ(name("nvidia/Llama-3.1-8B-Instruct-FP8"), "llama-3.1-8b");
  EXPECT_EQ(name("meta-llama/Meta-Llama-3.1-405B"), "llama-3.1-405b");
  EXPECT_EQ(name("deepseek-ai/DeepSeek-R1"), "deepseek-v3");
  EXPECT_EQ(name("nvidia/DeepSeek-V3.1-NVFP4"), "deepseek-v3");
  EXPECT_EQ(name("Qwen/Qwen3-235B-A22B-FP8"), "qwen3-235b-a22b");
  EXPECT_EQ(name("moonshotai/Kimi-K2.5"), "kimi-k2");
  EXPECT_EQ(name("qwen3-32b"), "qwen3-32b");
  EXPECT_EQ(name("Qwen/Qwen3.5-397B-A17B"), "");
}

TEST(MeasuredScenario, OneReplicaWithItsClients) {
  const auto described = measured_scenario(row_of("meta-llama/Llama-3.1-70B", 4), catalogue());
  const auto& scenario = std::get<MeasuredScenario>(described);
  ASSERT_EQ(scenario.parts.size(), 1U);
  const MeasuredReplica& part = scenario.parts.front();
  EXPECT_EQ(part.clients, 10);
  const GroupPlan& group = part.scenario.plan.groups.front();
  EXPECT_EQ(group.ranks_per_replica(), 4);
  EXPECT_EQ(group.weight_dtype, Dtype::kFp8);
  EXPECT_EQ(group.kv_dtype, Dtype::kFp8);
  EXPECT_EQ(group.stages.front().ranks.back().share.q_heads.size(), 16);
  EXPECT_EQ(group.stages.front().ranks.back().share.kv_heads.size(), 2);
  EXPECT_EQ(part.scenario.workload.serving.concurrency, 10);
}

TEST(MeasuredScenario, ABudgetThatIsNotStatedIsTheLaunchers) {
  const auto budget = [](const MeasuredRow& row) {
    const auto described = measured_scenario(row, catalogue());
    return std::get<MeasuredScenario>(described).parts.front().scenario.plan.groups.front().limits.max_batched_tokens;
  };
  MeasuredRow row = row_of("meta-llama/Llama-3.1-70B", 4);
  EXPECT_EQ(budget(row), 8192);  // the engine's, in a table of one's own
  row.aiconfigurator = true;
  EXPECT_EQ(budget(row), 10 + 1024 + 1500);
  row.engine = "sglang";
  EXPECT_EQ(budget(row), 8192);
  row.batched_tokens = 512;
  EXPECT_EQ(budget(row), 512);
}

// 4 attention replicas of one rank deal 256 experts out: 64 each, and 10 clients are at most 3 for one.
TEST(MeasuredScenario, AttentionReplicasDealTheExpertsOut) {
  MeasuredRow row = row_of("deepseek-ai/DeepSeek-V3", 1);
  row.aggregated->attention_replicas = 4;
  const auto described = measured_scenario(row, catalogue());
  const MeasuredReplica& part = std::get<MeasuredScenario>(described).parts.front();
  EXPECT_EQ(part.clients, 3);
  const GroupPlan& group = part.scenario.plan.groups.front();
  EXPECT_EQ(group.training.expert_parallel, 4);
  EXPECT_EQ(group.stages.front().ranks.front().share.experts.size(), 64);
}

// 128 heads on 72 ranks, or 8 ranks of experts beside one of attention: sequences of their own on each.
TEST(MeasuredScenario, WhatOnlyAttentionReplicasCanBeIsTakenAsThem) {
  MeasuredRow row = row_of("deepseek-ai/DeepSeek-V3", 72);
  row.system = "gb200";
  auto described = std::get<MeasuredScenario>(measured_scenario(row, catalogue()));
  EXPECT_EQ(described.parts.front().replicas, 72);
  EXPECT_EQ(described.parts.front().scenario.plan.groups.front().stages.front().ranks.front().share.experts.size(), 4);
  row.aggregated = MeasuredWorkers{.expert_ranks = 8};
  described = std::get<MeasuredScenario>(measured_scenario(row, catalogue()));
  EXPECT_EQ(described.parts.front().replicas, 8);
  EXPECT_FALSE(described.assumptions.empty());
}

// One node of 8 GPUs that the published table also states as 8 x 8 ranks.
TEST(MeasuredScenario, TheSquareOfANodeIsTheNode) {
  MeasuredRow row = row_of("deepseek-ai/DeepSeek-R1", 64);
  row.aggregated = MeasuredWorkers{.tensor = 64, .expert_tensor = 8, .expert_ranks = 8};
  const auto ranks = [&] {
    const auto described = measured_scenario(row, catalogue());
    return std::get<MeasuredScenario>(described).parts.front().scenario.plan.groups.front().ranks_per_replica();
  };
  EXPECT_EQ(ranks(), 64);  // in a table of one's own it is what it says
  row.inference_x = true;
  EXPECT_EQ(ranks(), 8);
  row.aggregated = MeasuredWorkers{.attention_replicas = 64, .expert_tensor = 8, .expert_ranks = 8};
  EXPECT_EQ(std::get<MeasuredScenario>(measured_scenario(row, catalogue())).parts.front().replicas, 8);
  row.aggregated = MeasuredWorkers{.tensor = 8, .expert_tensor = 2, .expert_ranks = 4};
  EXPECT_EQ(ranks(), 8);
  row.aggregated = MeasuredWorkers{.tensor = 4, .expert_tensor = 2, .expert_ranks = 2};  // no node of this GPU
  EXPECT_EQ(ranks(), 4);
  row.aggregated = MeasuredWorkers{.tensor = 4, .attention_replicas = 16, .expert_tensor = 8, .expert_ranks = 8};
  EXPECT_EQ(ranks(), 4);
}

// 671 GB in fp8 are more than 0.9 of four GPUs of 186 GB: eight, one replica of attention each; how many there were, nobody says.
TEST(MeasuredScenario, RowsThatDoNotSayHowManyGpusAreIncomplete) {
  MeasuredRow row = row_of("deepseek-ai/DeepSeek-R1", 1);
  EXPECT_TRUE(std::get<MeasuredScenario>(measured_scenario(row_of("deepseek-ai/DeepSeek-R1", 72), catalogue())).incomplete);
  row.system = "gb200";
  row.aggregated.reset();
  row.prefill = MeasuredWorkers{};
  row.decode = MeasuredWorkers{.tensor = 8};
  auto described = std::get<MeasuredScenario>(measured_scenario(row, catalogue()));
  EXPECT_TRUE(described.incomplete);
  EXPECT_EQ(described.parts.front().replicas, 8);
  EXPECT_EQ(described.parts.back().replicas, 1);
  row.prefill->tensor = 8;
  EXPECT_FALSE(std::get<MeasuredScenario>(measured_scenario(row, catalogue())).incomplete);
  row.decode->workers_stated = false;
  described = std::get<MeasuredScenario>(measured_scenario(row, catalogue()));
  EXPECT_TRUE(described.incomplete);
  EXPECT_EQ(described.assumptions.back(), "how many instances there are is not stated: one of each kind");
}

TEST(MeasuredScenario, ARowOfInferenceXHidesTheHost) {
  MeasuredRow row = row_of("meta-llama/Llama-3.1-70B", 8);
  row.engine = "vllm";
  EXPECT_GT(std::get<MeasuredScenario>(measured_scenario(row, catalogue())).engine.layer, Seconds(0));
  row.inference_x = true;
  const EngineClass served = std::get<MeasuredScenario>(measured_scenario(row, catalogue())).engine;
  EXPECT_EQ(served.layer, Seconds(0));
  EXPECT_EQ(served.request, find_engine_class("vllm")->served_request);
}

TEST(MeasuredScenario, PrefillAndDecodeAreTwoReplicas) {
  MeasuredRow row = row_of("deepseek-ai/DeepSeek-V3", 8);
  row.aggregated.reset();
  row.prefill = MeasuredWorkers{.workers = 2, .tensor = 4};
  row.decode = MeasuredWorkers{.workers = 5, .tensor = 8};
  const auto described = measured_scenario(row, catalogue());
  const auto& scenario = std::get<MeasuredScenario>(described);
  ASSERT_EQ(scenario.parts.size(), 2U);
  EXPECT_EQ(scenario.parts[0].replicas, 2);
  EXPECT_EQ(scenario.parts[1].clients, 2);
}

TEST(MeasuredScenario, WhatCannotBeDescribedSaysWhy) {
  const auto changed = [](auto&& change) {
    MeasuredRow row = row_of("meta-llama/Llama-3.1-70B", 4);
    change(row);
    return miss(row);
  };
  EXPECT_EQ(changed([](MeasuredRow& r) { r.engine = "mine"; }), "engine \"mine\" is not known");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.model = "a/b"; }), "model \"a/b\" is not in the catalogue");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.system = "tpu"; }), "GPU \"tpu\" is not in the catalogue");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.gemm_format = "fp3"; }), "number format \"fp3\" is not known");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.concurrency.reset(); }), "states neither concurrency nor batch");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.aggregated->tensor = 3; }),
            "the tensor-parallel degree does not divide the heads");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.aggregated->stages = 2; }), "pipeline stages are not covered");
  EXPECT_EQ(changed([](MeasuredRow& r) { r.prompt = 200000; }), "prompt and output exceed the context of the model");
}

}  // namespace
}  // namespace lindos::sim
