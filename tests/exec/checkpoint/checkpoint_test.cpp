// SPDX-License-Identifier: Apache-2.0
// Names and shapes of a model's tensors, and the complaint when a checkpoint does not have them.
#include "exec/checkpoint/checkpoint.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"
#include "tests/exec/golden_reader.h"

namespace lindos::exec {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Model small_model() {
  Model model;
  model.name = "small";
  model.hidden = 72;
  model.layers = 2;
  model.q_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 16;
  model.ffn = 80;
  model.vocab = 128;
  return model;
}

std::vector<std::int64_t> shape_of(const std::vector<TensorInfo>& tensors,
                                   const std::string& name) {
  for (const TensorInfo& info : tensors) {
    if (info.name == name) return info.shape;
  }
  return {};
}

std::string complaint(const Checkpoint& checkpoint, const Model& model) {
  try {
    check_tensors(checkpoint, model);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    return error.what();
  }
  return "no error";
}

TEST(ExpectedTensors, TakesHeadDimAtItsWord) {
  const auto tensors = expected_tensors(small_model());
  EXPECT_EQ(tensors.size(),
            1U + 2U * 9U + 2U);  // embedding; 2 norms and 7 matrices per layer; norm and head
  EXPECT_EQ(shape_of(tensors, "model.layers.1.self_attn.q_proj.weight"),
            (std::vector<std::int64_t>{144, 72}));
  EXPECT_EQ(shape_of(tensors, "model.layers.1.self_attn.k_proj.weight"),
            (std::vector<std::int64_t>{48, 72}));
  EXPECT_EQ(shape_of(tensors, "model.layers.1.self_attn.o_proj.weight"),
            (std::vector<std::int64_t>{72, 144}));
  EXPECT_EQ(shape_of(tensors, "lm_head.weight"), (std::vector<std::int64_t>{128, 72}));
}

TEST(ExpectedTensors, FollowsTheFlags) {
  Model model = small_model();
  model.tied_embeddings = true;
  model.qk_norm = true;
  model.qkv_bias = true;
  model.o_bias = true;
  model.mlp_bias = true;
  const auto tensors = expected_tensors(model);
  EXPECT_EQ(tensors.size(), 1U + 2U * (9U + 2U + 3U + 1U + 3U) + 1U);
  EXPECT_EQ(shape_of(tensors, "lm_head.weight"), std::vector<std::int64_t>{});
  EXPECT_EQ(shape_of(tensors, "model.layers.0.self_attn.q_norm.weight"),
            (std::vector<std::int64_t>{16}));
  EXPECT_EQ(shape_of(tensors, "model.layers.0.self_attn.k_proj.bias"),
            (std::vector<std::int64_t>{48}));
  EXPECT_EQ(shape_of(tensors, "model.layers.0.mlp.down_proj.bias"),
            (std::vector<std::int64_t>{72}));
  const auto refused = [&](const std::function<void(Model&)>& change) {
    Model other = model;
    change(other);
    EXPECT_THROW((void)expected_tensors(other), Error);
  };
  refused([](Model& m) { m.gated_ffn = false; });
  refused([](Model& m) { m.learned_positions = true; });
}

Model moe_model(const std::string& architecture) {
  Model model = small_model();
  model.architecture = architecture;
  model.moe = {.experts = 4, .top_k = 2, .expert_ffn = 48};
  return model;
}

TEST(ExpectedTensors, NamesExpertsAsTheFamilyDoes) {
  const auto mixtral = expected_tensors(moe_model("MixtralForCausalLM"));
  // Embedding; per layer 2 norms, 4 projections, the router and 4 experts of 3 matrices; norm and head.
  EXPECT_EQ(mixtral.size(), 1U + 2U * (6U + 1U + 4U * 3U) + 2U);
  const std::string block = "model.layers.1.block_sparse_moe.";
  EXPECT_EQ(shape_of(mixtral, block + "gate.weight"), (std::vector<std::int64_t>{4, 72}));
  EXPECT_EQ(shape_of(mixtral, block + "experts.3.w1.weight"), (std::vector<std::int64_t>{48, 72}));
  EXPECT_EQ(shape_of(mixtral, block + "experts.3.w3.weight"), (std::vector<std::int64_t>{48, 72}));
  EXPECT_EQ(shape_of(mixtral, block + "experts.3.w2.weight"), (std::vector<std::int64_t>{72, 48}));

  Model qwen = moe_model("Qwen3MoeForCausalLM");
  qwen.moe.first_dense_layers = 1;
  const auto mixed = expected_tensors(qwen);
  EXPECT_EQ(mixed.size(), 1U + 9U + (6U + 1U + 4U * 3U) + 2U);
  EXPECT_EQ(shape_of(mixed, "model.layers.0.mlp.gate_proj.weight"), (std::vector<std::int64_t>{80, 72}));
  EXPECT_EQ(shape_of(mixed, "model.layers.1.mlp.gate.weight"), (std::vector<std::int64_t>{4, 72}));
  EXPECT_EQ(shape_of(mixed, "model.layers.1.mlp.experts.0.up_proj.weight"), (std::vector<std::int64_t>{48, 72}));
  EXPECT_EQ(shape_of(mixed, "model.layers.1.mlp.experts.0.down_proj.weight"), (std::vector<std::int64_t>{72, 48}));

  Model deepseek = moe_model("DeepseekForCausalLM");
  deepseek.moe.shared_experts = 2;
  deepseek.moe.shared_ffn = 96;
  const auto shared = expected_tensors(deepseek);
  EXPECT_EQ(shape_of(shared, "model.layers.0.mlp.shared_experts.gate_proj.weight"), (std::vector<std::int64_t>{96, 72}));
  EXPECT_EQ(shape_of(shared, "model.layers.0.mlp.shared_experts.down_proj.weight"), (std::vector<std::int64_t>{72, 96}));
}

std::string refusal(const Model& model) {
  try {
    (void)expected_tensors(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Sigmoid scores, groups of experts and biases would run as something else than the model.
TEST(ExpectedTensors, RefusesOtherRoutingByName) {
  EXPECT_THAT(refusal(moe_model("GptOssForCausalLM")),
              HasSubstr("this one has the experts of GptOssForCausalLM (known: MixtralForCausalLM, Qwen3MoeForCausalLM, "
                        "DeepseekForCausalLM)"));
  EXPECT_THAT(refusal(moe_model("DeepseekV3ForCausalLM")), HasSubstr("the experts of DeepseekV3ForCausalLM"));
  EXPECT_THAT(refusal(moe_model("")), HasSubstr("the experts of an unnamed architecture"));
  Model biased = moe_model("Qwen3MoeForCausalLM");
  biased.mlp_bias = true;
  EXPECT_THAT(refusal(biased), HasSubstr("experts with biases"));
  Model shared = moe_model("MixtralForCausalLM");
  shared.moe.shared_experts = 1;
  shared.moe.shared_ffn = 48;
  EXPECT_THAT(refusal(shared), HasSubstr("shared experts in MixtralForCausalLM, which has none"));
}

TEST(CheckTensors, ListsAllComplaintsTogether) {
  const auto checkpoint = make_synthetic(small_model(), 1, Dtype::kF32);
  EXPECT_EQ(complaint(*checkpoint, small_model()), "no error");
  Model other = small_model();
  other.ffn = 96;
  other.qk_norm = true;
  other.tied_embeddings = true;
  EXPECT_THAT(complaint(*checkpoint, other),
              AllOf(HasSubstr("random:1: the weights do not fit the model small"),
                    HasSubstr("missing (4): model.layers.0.self_attn.q_norm.weight; "),
                    HasSubstr("of another shape (6): model.layers.0.mlp.gate_proj.weight is [80, "
                              "72], not [96, 72]"),
                    HasSubstr("not part of the model (1): lm_head.weight")));
}

TEST(CheckTensors, ShortensLongLists) {
  Model deeper = small_model();
  deeper.layers = 40;
  EXPECT_THAT(
      complaint(*make_synthetic(small_model(), 1, Dtype::kF32), deeper),
      AllOf(HasSubstr("missing (342)"), HasSubstr("and 330 more"), Not(HasSubstr("layers.39"))));
}

TEST(CheckTensors, LetsSurplusTensorsBe) {
  Model tied = small_model();
  tied.tied_embeddings = true;  // a stored lm_head is ignored then
  EXPECT_EQ(complaint(*make_synthetic(small_model(), 1, Dtype::kF32), tied), "no error");
}

// The golden models were written by transformers: their folders open, and our names are theirs.
TEST(CheckTensors, AcceptsWhatTransformersWrote) {
  std::size_t seen = 0;
  for (const auto& golden : golden::read_model_goldens()) {
    SCOPED_TRACE(golden.name);
    const auto checkpoint = open_safetensors(golden.folder);
    ASSERT_EQ(golden.cases.size(), 3U);
    EXPECT_EQ(golden.cases[0].last_logits.size(), 128U);
    EXPECT_EQ(golden.cases[0].greedy.size(), 16U);
    if (golden.name != "llama-gqa-9x3") continue;
    EXPECT_EQ(complaint(*checkpoint, small_model()), "no error");
    EXPECT_EQ(checkpoint->tensors().size(), expected_tensors(small_model()).size());
    EXPECT_EQ(golden.cases[1].all_logits.size(), golden.cases[1].prompt.size());
    ++seen;
  }
  EXPECT_EQ(seen, 1U);
}

}  // namespace
}  // namespace lindos::exec
