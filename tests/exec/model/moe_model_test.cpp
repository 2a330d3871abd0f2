// SPDX-License-Identifier: Apache-2.0
// Models with experts, run by the engine: logits against a plain forward pass in double, under every way to cut experts; bytes
// and scratch against the shared arithmetic.
#include <algorithm>
#include <cmath>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "exec/model/rank_weights.h"
#include "scenarios/capacity.h"
#include "scenarios/error.h"
#include "scenarios/ops.h"
#include "scenarios/plan_json.h"
#include "tests/exec/engine_harness.h"
#include "tests/exec/reference_model.h"

namespace lindos::exec {
namespace {

using harness::Engine;
using harness::Layout;
using harness::Tokens;

Model mixtral_model() {
  Model model = harness::tiny_moe_model();
  model.name = "tiny-mixtral";
  model.architecture = "MixtralForCausalLM";
  model.moe = {.experts = 5, .top_k = 2, .expert_ffn = 112};
  return model;
}

// Every other layer has experts, with the softmax's own weights; QK norms as in Qwen3.
Model qwen_model() {
  Model model = harness::tiny_moe_model();
  model.name = "tiny-qwen3-moe";
  model.architecture = "Qwen3MoeForCausalLM";
  model.qk_norm = true;
  model.tied_embeddings = true;
  model.moe = {.experts = 12, .top_k = 4, .expert_ffn = 40, .layer_interval = 2, .normalise_top_k = false};
  return model;
}

std::vector<Model> models() { return {harness::tiny_moe_model(), mixtral_model(), qwen_model()}; }

// How the experts of a stage lie on its ranks: columns of all, or so many whole ones on each.
struct Cut {
  std::string name;
  Layout layout;
  std::vector<double> experts;   // relative numbers on the ranks of a stage; empty: columns
};
void PrintTo(const Cut& cut, std::ostream* out) { *out << cut.name; }

std::vector<Cut> cuts() {
  constexpr KvSplit kSplit = KvSplit::kReplicate;
  return {
      {"Single", {"", {1}, {1}, kSplit}, {}},
      {"Columns2Even", {"", {1, 1}, {1}, kSplit}, {}},
      {"Columns3Uneven", {"", {3, 2, 1}, {1}, kSplit}, {}},
      {"Columns8SomeEmpty", {"", {1, 1, 1, 1, 1, 1, 1, 1}, {1}, KvSplit::kWholeGroups}, {}},
      {"Dealt2Even", {"", {1, 1}, {1}, kSplit}, {1, 1}},
      {"Dealt2Uneven", {"", {1, 2}, {1}, kSplit}, {3, 1}},
      {"Dealt3OneWithout", {"", {1, 1, 1}, {1}, kSplit}, {2, 0, 1}},
      {"Dealt2AllOnTheLast", {"", {1, 1}, {1}, kSplit}, {0, 1}},
      {"Pipeline2", {"", {1}, {1, 1}, kSplit}, {}},
      {"Dealt2Pipeline2", {"", {2, 1}, {1, 1}, kSplit}, {1, 2}},
  };
}

EngineConfig config_of(const Model& model, const Cut& cut, Dtype dtype = Dtype::kF32) {
  EngineConfig config = harness::make_config(model, make_synthetic(model, 7, dtype), cut.layout, dtype);
  double all = 0.0;
  for (const double part : cut.experts) all += part;
  for (StagePlan& stage : config.group.stages) {
    double before = 0.0;
    for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
      Range& experts = stage.ranks[r].share.experts;
      experts = {0, model.moe.experts};
      if (cut.experts.empty()) continue;
      const auto edge = [&](double part) { return static_cast<std::int64_t>(std::lround(part / all * model.moe.experts)); };
      experts = {edge(before), edge(before + cut.experts[r])};
      before += cut.experts[r];
    }
  }
  Plan plan;
  plan.groups = {config.group};
  validate_plan(plan, model, cut.name);
  return config;
}

class Cuts : public ::testing::TestWithParam<Cut> {};
INSTANTIATE_TEST_SUITE_P(All, Cuts, ::testing::ValuesIn(cuts()),
                         [](const ::testing::TestParamInfo<Cut>& test) { return test.param.name; });

TEST_P(Cuts, GiveTheLogitsOfThePlainForwardPass) {
  constexpr double kTolerance = 2e-5;      // sums in another order, of max |logit|
  constexpr double kDistinct = 2e-5;       // between two experts' shares: far above what f32 moves them
  for (const Model& model : models()) {
    SCOPED_TRACE(model.name);
    const EngineConfig config = config_of(model, GetParam());
    Engine engine(config);
    for (const std::int64_t length : {1, 23}) {
      const Tokens prompt = harness::make_prompt(length, 3, model.vocab);
      const harness::ReferenceRun expected = harness::reference_run(model, *config.checkpoint, prompt);
      ASSERT_GT(expected.closest_choice, kDistinct) << "choose another prompt: rounding may choose another expert";
      (void)engine.generate(prompt, 1);
      const std::vector<float> logits = engine.last_logits().at(0);
      ASSERT_EQ(logits.size(), expected.logits.size());
      double most = 0.0;
      double off = 0.0;
      for (std::size_t i = 0; i < logits.size(); ++i) {
        most = std::max(most, std::abs(expected.logits[i]));
        off = std::max(off, std::abs(static_cast<double>(logits[i]) - expected.logits[i]));
      }
      EXPECT_LE(off, kTolerance * most) << "prompt of " << length;
    }
  }
}

// With rounded weights a choice between near experts may fall otherwise, so tokens are not compared to f32.
TEST_P(Cuts, RunInSixteenBits) {
  for (const Model& model : models()) {
    for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
      SCOPED_TRACE(model.name + " " + std::string(name_of(dtype)));
      Engine engine(config_of(model, GetParam(), dtype));
      const Tokens prompt = harness::make_prompt(9, 1, model.vocab);
      EXPECT_EQ(engine.generate(prompt, 8).size(), 8U);
      const std::vector<float> logits = engine.last_logits().at(0);
      EXPECT_TRUE(std::all_of(logits.begin(), logits.end(), [](float logit) { return std::isfinite(logit); }));
    }
  }
}

// All widths are multiples of the panels' 16, so that packing adds nothing.
Model whole_panels() {
  Model model = harness::tiny_moe_model();
  model.vocab = 256;
  model.ffn = 128;
  model.moe = {.experts = 16, .top_k = 3, .expert_ffn = 64, .shared_experts = 2, .shared_ffn = 128, .first_dense_layers = 1};
  return model;
}

TEST_P(Cuts, HoldTheBytesOfTheSharedArithmetic) {
  const Model model = whole_panels();
  for (const Dtype dtype : {Dtype::kF32, Dtype::kBf16, Dtype::kF16}) {
    const EngineConfig config = config_of(model, GetParam(), dtype);
    for (int s = 0; s < static_cast<int>(config.group.stages.size()); ++s) {
      for (int r = 0; r < static_cast<int>(config.group.stages[static_cast<std::size_t>(s)].ranks.size()); ++r) {
        const RankWeights weights(model, config.group, {s, r}, *config.checkpoint);
        // The engine keeps norms in f32 and packs columns of 16; the arithmetic has them in the side format, and to the column.
        const double counted = weight_bytes(model, config.group, {s, r}).value();
        EXPECT_NEAR(static_cast<double>(weights.bytes()) / counted, 1.0, 0.05) << s << ' ' << r;
      }
    }
  }
}

TEST_P(Cuts, StayWithinTheScratchOfTheCapacityRule) {
  const Model model = whole_panels();
  const EngineConfig config = config_of(model, GetParam());
  Engine engine(config);
  const EngineRun run = engine.serve({harness::make_prompt(64, 1, model.vocab)}, 2);
  for (const RankReport& rank : run.ranks) {
    const double counted = activation_bytes(model, config.group, {rank.stage, rank.rank}).value();
    // A line per buffer for alignment, and where each expert's rows begin.
    constexpr double kAlignment = 16 * 64;
    EXPECT_LE(rank.scratch_bytes, counted + kAlignment + 8.0 * (model.moe.experts + 1)) << rank.stage << ' ' << rank.rank;
    EXPECT_GE(rank.scratch_bytes, 0.8 * counted) << rank.stage << ' ' << rank.rank;
  }
}

}  // namespace
}  // namespace lindos::exec
