// SPDX-License-Identifier: Apache-2.0
#include "exec/model/rank_weights.h"

#include <functional>
#include <ostream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using ::testing::HasSubstr;

struct Refusal {
  std::string name;
  std::string reason;
  std::function<void(Model&)> change;
};

void PrintTo(const Refusal& refusal, std::ostream* out) { *out << refusal.name; }

class RefusedModel : public ::testing::TestWithParam<Refusal> {};

// Through the replica: a rank that cannot be built must leave nothing behind that waits.
TEST_P(RefusedModel, IsRefusedByName) {
  EngineConfig config = harness::tiny_config();
  GetParam().change(config.model);
  std::string reason;
  EXPECT_FALSE(executable(config.model, reason));
  EXPECT_EQ(reason, GetParam().reason);
  try {
    (void)Replica::in_process(config);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("model tiny"), HasSubstr(GetParam().reason)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedModel,
    ::testing::Values(
        Refusal{"Experts",
                "the experts of LlamaForCausalLM (known: MixtralForCausalLM, Qwen3MoeForCausalLM, DeepseekForCausalLM)",
                [](Model& m) { m.moe.experts = 8, m.moe.top_k = 2, m.moe.expert_ffn = 32; }},
        Refusal{"ExpertBiases", "experts with biases",
                [](Model& m) {
                  m = harness::tiny_moe_model();
                  m.name = "tiny";
                  m.mlp_bias = true;
                }},
        Refusal{"LatentAttention", "multi-head latent attention", [](Model& m) { m.mla.kv_lora_rank = 16; }},
        Refusal{"Sinks", "attention sinks", [](Model& m) { m.attention_sinks = true; }},
        Refusal{"NoGate", "an FFN without a gate", [](Model& m) { m.gated_ffn = false; }},
        Refusal{"LearnedPositions", "learned positions", [](Model& m) { m.learned_positions = true; }},
        Refusal{"OddHeadDim", "head_dim 12 (multiples of 8 are supported)", [](Model& m) { m.head_dim = 12; }}),
    [](const ::testing::TestParamInfo<Refusal>& test) { return test.param.name; });

TEST(RankWeights, RefusesOtherWeightDtypesByName) {
  EngineConfig config = harness::tiny_config();
  config.group.weight_dtype = Dtype::kInt8;
  try {
    (void)Replica::in_process(config);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::AllOf(HasSubstr("int8"), HasSubstr("known: f32, bf16, f16")));
  }
}

std::size_t bytes_of_all(const EngineConfig& config) {
  std::size_t sum = 0;
  for (int s = 0; s < static_cast<int>(config.group.stages.size()); ++s) {
    const auto ranks = static_cast<int>(config.group.stages[static_cast<std::size_t>(s)].ranks.size());
    for (int r = 0; r < ranks; ++r) {
      sum += RankWeights(config.model, config.group, {s, r}, *config.checkpoint).bytes();
    }
  }
  return sum;
}

// 200 vocabulary rows pack into 13 panels of 16.
constexpr std::size_t kTable = 13 * 16 * 80 * sizeof(float);

TEST(RankWeights, OfAPipelineAddUpToTheWhole) {
  const std::size_t whole = bytes_of_all(harness::tiny_config());
  EXPECT_EQ(bytes_of_all(harness::tiny_config({"", {1}, {2, 1}, KvSplit::kReplicate})), whole);
  EXPECT_EQ(bytes_of_all(harness::tiny_config({"", {1}, {1, 1, 1}, KvSplit::kReplicate})), whole);
}

TEST(RankWeights, AddACopyOfATiedTableOnlyWhereTheEndsAreApart) {
  const auto tied = [](const std::vector<double>& stages) {
    Model model = harness::tiny_model();
    model.tied_embeddings = true;
    return bytes_of_all(harness::make_config(model, make_synthetic(model, 7, Dtype::kF32),
                                             {"", {1}, stages, KvSplit::kReplicate}));
  };
  EXPECT_EQ(bytes_of_all(harness::tiny_config()) - tied({1}), kTable);
  EXPECT_EQ(tied({1, 1}) - tied({1}), kTable);
}

// Norms and the embedding are held by each rank; 3 layers with 2 norms of 80, one at the end.
TEST(RankWeights, OfATensorGroupRepeatOnlyNormsAndTheEmbedding) {
  const std::size_t whole = bytes_of_all(harness::tiny_config());
  const std::size_t split =
      bytes_of_all(harness::tiny_config({"", {2, 1}, {1}, KvSplit::kWholeGroups}));
  EXPECT_EQ(split - whole, kTable + (3 * 2 + 1) * 80 * sizeof(float));
}

}  // namespace
}  // namespace lindos::exec
