// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

using Json = nlohmann::ordered_json;

Plan two_by_two() {
  return make_plan(smollm2(), "pool", 2, {1, 1}, {}, Dtype::kBf16, {}, kCpuGranule);
}

std::string complaint(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "accepted";
}

RC_GTEST_PROP(PlanJson, LoadOfSaveIsTheSamePlan, ()) {
  Plan plan = two_by_two();
  plan.name = *rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)) + "é";
  GroupPlan& group = plan.groups[0];
  group.role = *rc::gen::element(Role::kBoth, Role::kPrefill, Role::kDecode, Role::kTrain);
  group.replicas = *rc::gen::inRange<std::int64_t>(1, 1 << 30);
  group.routing_weight = *rc::gen::inRange(0, 1000) / 7.0;
  group.weight_dtype = *rc::gen::element(Dtype::kF32, Dtype::kFp8, Dtype::kFp4, Dtype::kInt8);
  group.kv_dtype = *rc::gen::element(Dtype::kF16, Dtype::kFp8);
  if (*rc::gen::arbitrary<bool>()) group.power_limit = Watts{*rc::gen::inRange(1, 7'000'000) / 7.0};
  group.limits.max_context = *rc::gen::inRange(0, 1000);
  group.limits.memory_fraction = *rc::gen::inRange(1, 1000) / 1000.0;
  group.limits.prefix_reuse = *rc::gen::arbitrary<bool>();
  if (*rc::gen::arbitrary<bool>()) {
    plan.admission.unfinished = {*rc::gen::inRange<std::int64_t>(0, 100), *rc::gen::inRange<std::int64_t>(1, 100)};
    plan.admission.priorities = {{*rc::gen::inRange(-9, 9), {3, 0}}};
    plan.admission.tenants = {{"a", {Hertz(*rc::gen::inRange(1, 1000) / 7.0), *rc::gen::inRange<std::int64_t>(1, 99)}, {}},
                              {"b", {}, {Hertz(2e6), 1'000'000}}};
  }
  if (group.limits.prefix_reuse) group.limits.kv_offload = Bytes{*rc::gen::inRange(0, 1'000'000) * 1e3};
  group.training = {.zero_stage = *rc::gen::inRange(0, 4),
                    .virtual_stages = *rc::gen::inRange(1, 5),
                    .sequence_parallel = *rc::gen::arbitrary<bool>(),
                    .context_parallel = *rc::gen::inRange(1, 9),
                    .expert_parallel = *rc::gen::inRange(1, 9),
                    .micro_batches = *rc::gen::inRange(0, 9),
                    .fused_attention = *rc::gen::arbitrary<bool>(),
                    .portable_attention = *rc::gen::arbitrary<bool>(),
                    .fused_loss = *rc::gen::arbitrary<bool>(),
                    .gradient_dtype = *rc::gen::element(Dtype::kF32, Dtype::kBf16),
                    .overlap_gradient_reduce = *rc::gen::arbitrary<bool>(),
                    .overlap_parameter_gather = *rc::gen::arbitrary<bool>(),
                    .overlap_tensor = *rc::gen::element(TensorOverlap::kNone, TensorOverlap::kBackward,
                                                       TensorOverlap::kTiles),
                    .hierarchical_exchange = *rc::gen::arbitrary<bool>()};
  const std::vector<RoutingPolicy> policies(std::begin(kRoutingPolicies), std::end(kRoutingPolicies));
  plan.routing = {*rc::gen::elementOf(policies), *rc::gen::inRange<std::int64_t>(1, 1000), 1.0 + *rc::gen::inRange(0, 100) / 7.0};
  group.stages[1].ranks[0].threads = *rc::gen::inRange(0, 64);
  group.stages[0].ranks[1].share.experts = {*rc::gen::inRange(0, 5), *rc::gen::inRange(5, 9)};
  const std::string text = to_json(plan);
  const Plan again = plan_from_json(text, "plan.json");
  RC_ASSERT(again == plan);
  RC_ASSERT(to_json(again) == text);
  // Key order and white space carry no meaning.
  RC_ASSERT(plan_from_json(nlohmann::json::parse(text).dump(), "plan.json") == plan);
}

TEST(PlanJson, OneRankIsOneLine) {
  EXPECT_NE(to_json(two_by_two())
                .find("\n            {\"pool\":\"pool\",\"threads\":0,\"share\":{\"q_heads\":[0,5],\"kv_heads\":[0,2],"
                      "\"ffn\":[0,768],\"vocab\":[0,24576],\"experts\":[0,0]}},\n"),
            std::string::npos)
      << to_json(two_by_two());
}

TEST(PlanJson, WhatIsLeftOutKeepsItsDefault) {
  Json json = Json::parse(to_json(two_by_two()));
  for (const char* key : {"role", "replicas", "routing_weight", "limits", "training"}) {
    json["groups"][0].erase(key);
  }
  EXPECT_EQ(plan_from_json(json.dump(), "plan.json"), two_by_two());
}

// So that the digests of plans that were made before stay as they were.
TEST(PlanJson, NoPowerLimitIsNotWritten) {
  Plan plan = two_by_two();
  EXPECT_EQ(to_json(plan).find("power_limit"), std::string::npos);
  plan.groups[0].power_limit = Watts{412};
  EXPECT_NE(to_json(plan).find("\"power_limit_w\": 412.0,\n"), std::string::npos) << to_json(plan);
}

TEST(PlanJson, OrdinaryRoutingIsNotWritten) {
  Plan plan = two_by_two();
  EXPECT_EQ(to_json(plan).find("routing\""), std::string::npos);
  plan.routing.policy = RoutingPolicy::kPowerOfTwo;
  EXPECT_NE(to_json(plan).find("\"routing\": {\"policy\":\"power-of-two\",\"replicas_per_router\":64,\"load_bound\":1.25}"),
            std::string::npos)
      << to_json(plan);
}

TEST(PlanJson, ReaderComplaints) {
  const auto changed = [](const std::string& pointer, const Json& value) {
    Json json = Json::parse(to_json(two_by_two()));
    json[Json::json_pointer(pointer)] = value;
    return complaint([&] { static_cast<void>(plan_from_json(json.dump(), "plan.json")); });
  };
  EXPECT_EQ(changed("/format", "lindos-plam"),
            "plan.json: /format: expected \"lindos-plan\", saw \"lindos-plam\"");
  EXPECT_EQ(changed("/version", 2), "plan.json: /version: this build reads version 1, saw 2");
  EXPECT_EQ(changed("/groups/0/replcas", 2),
            "plan.json: /groups/0/replcas: unknown key (did you mean \"replicas\"?)");
  EXPECT_EQ(changed("/groups/0/role", "decod"),
            "plan.json: /groups/0/role: unknown role \"decod\"; known: both, prefill, decode, train (did you "
            "mean \"decode\"?)");
  EXPECT_EQ(changed("/groups/0/kv_dtype", "bf61"),
            "plan.json: /groups/0/kv_dtype: unknown number format \"bf61\"; known: f32, f16, bf16, fp8, fp4, "
            "int8 (did you mean \"bf16\"?)");
  EXPECT_EQ(changed("/groups/0/stages/1/ranks/0/share/ffn", Json::array({5, 1})),
            "plan.json: /groups/0/stages/1/ranks/0/share/ffn: the range ends before it begins: [5, 1]");
  EXPECT_EQ(changed("/groups/0/stages/1/ranks/0/share/ffn", Json::array({0, 1.5})),
            "plan.json: /groups/0/stages/1/ranks/0/share/ffn: expected a range [begin, end] of two integers "
            "from 0 to 2^40");
  EXPECT_EQ(changed("/groups/0/power_limit_w", -1), "plan.json: /groups/0/power_limit_w: expected at least 0.0, saw -1");
  EXPECT_EQ(changed("/groups/0/power_limit", 400),
            "plan.json: /groups/0/power_limit: unknown key (did you mean \"power_limit_w\"?)");
  EXPECT_EQ(changed("/groups/0/limits/max_sequences", 0),
            "plan.json: /groups/0/limits/max_sequences: expected at least 1, saw 0");
  EXPECT_EQ(changed("/routing", {{"policy", "power-of-tow"}}),
            "plan.json: /routing/policy: unknown policy \"power-of-tow\"; known: weighted-round-robin, random, "
            "least-outstanding, power-of-two, prefix-affinity (did you mean \"power-of-two\"?)");
  EXPECT_EQ(changed("/routing", {{"policy", "random"}, {"load_bound", 0.5}}),
            "plan.json: /routing/load_bound: expected at least 1.0, saw 0.5");
  EXPECT_EQ(changed("/groups/0/training/sequence_parallel", 1),
            "plan.json: /groups/0/training/sequence_parallel: expected true or false, saw 1");
  EXPECT_EQ(complaint([] { static_cast<void>(plan_from_json("{\"format\": 1, \"format\": 2}", "p")); }),
            "p: the key \"format\" stands twice in one object");
}

// Plans of older versions said the degree twice.
TEST(PlanJson, DataParallelOfOlderPlansIsReadWhereItAgrees) {
  const auto read = [](int replicas, int degree, const char* role) {
    Json json = Json::parse(to_json(two_by_two()));
    json["groups"][0]["replicas"] = replicas;
    json["groups"][0]["role"] = role;
    json["groups"][0]["training"] = {{"data_parallel", degree}, {"zero_stage", 1}};
    return complaint([&] {
      EXPECT_EQ(plan_from_json(json.dump(), "plan.json").groups[0].training.zero_stage, 1);
    });
  };
  EXPECT_EQ(read(4, 4, "train"), "accepted");
  EXPECT_EQ(read(4, 1, "both"), "accepted");  // what was written into every plan for serving
  EXPECT_EQ(read(4, 1, "train"),
            "plan.json: /groups/0/training/data_parallel: the degree is the group's replicas, 4, but this says 1; "
            "remove the key and set \"replicas\"");
}

TEST(PlanJson, AServingPlanSaysNothingOfTraining) {
  Plan plan = two_by_two();
  EXPECT_EQ(to_json(plan).find("training"), std::string::npos);
  plan.groups[0].role = Role::kTrain;
  EXPECT_NE(to_json(plan).find("context_parallel"), std::string::npos);
}

TEST(ValidatePlan, Complaints) {
  const auto changed = [](const std::function<void(GroupPlan&)>& change) {
    Plan plan = two_by_two();
    change(plan.groups[0]);
    return complaint([&] { validate_plan(plan, smollm2(), "plan.json"); });
  };
  EXPECT_EQ(changed([](GroupPlan&) {}), "accepted");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[1].ranks[1].share.ffn.begin = 770; }),
            "plan.json: /groups/0/stages/1/ranks/1/share/ffn: [770, 1536) does not follow the ranks before it, "
            "which end at 768; begin there (an empty share is [768, 768))");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[1].ranks[1].share.ffn.end = 1500; }),
            "plan.json: /groups/0/stages/1/ranks/1/share/ffn: [768, 1500) leaves [1500, 1536) to no rank; end "
            "at 1536");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[0].ranks[1].share.q_heads.end = 10; }),
            "plan.json: /groups/0/stages/0/ranks/1/share/q_heads: [5, 10) reaches beyond the model's 9");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[0].ranks[1].share.kv_heads = {2, 3}; }),
            "plan.json: /groups/0/stages/0/ranks/1/share/kv_heads: [2, 3) does not cover q heads [5, 9) of 3 "
            "per KV head; expected [1, 3)");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[1].layers.begin = 20; }),
            "plan.json: /groups/0/stages/1/layers: [20, 30) does not follow the stages before it, which end at "
            "layer 19; begin there");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages.pop_back(); }),
            "plan.json: /groups/0/stages/0/layers: the last stage ends at layer 19, the model has 30; end "
            "there");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[0].ranks.clear(); }),
            "plan.json: /groups/0/stages/0/ranks: a stage needs at least one rank");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages.clear(); }),
            "plan.json: /groups/0/stages: a group needs at least one stage");
  EXPECT_EQ(changed([](GroupPlan& g) { g.stages[0].ranks[0].share.experts = {0, 1}; }),
            "plan.json: /groups/0/stages/0/ranks/0/share/experts: [0, 1) reaches beyond the model's 0");
  EXPECT_EQ(changed([](GroupPlan& g) { g.limits.max_context = 9000; }),
            "plan.json: /groups/0/limits/max_context: expected 0 (the model's) to 8192, saw 9000");
  EXPECT_EQ(changed([](GroupPlan& g) { g.limits.prefill_chunk = 4096; }),
            "plan.json: /groups/0/limits/prefill_chunk: 4096 tokens of one prompt exceed the step's 2048; at "
            "most that many");
  EXPECT_EQ(changed([](GroupPlan& g) { g.kv_dtype = Dtype::kFp4; }),
            "plan.json: /groups/0/kv_dtype: fp4 is a format for weights only; fp8 is the narrowest here");
  Plan twice = two_by_two();
  twice.groups.push_back(twice.groups[0]);
  EXPECT_EQ(complaint([&] { validate_plan(twice, smollm2(), "plan.json"); }),
            "plan.json: /groups/1/name: two groups are named \"pool\"");
}

}  // namespace
}  // namespace lindos
