// SPDX-License-Identifier: Apache-2.0
// Layers with experts on the GPU against the CPU engine on the same synthetic weights (bf16, f16): logits of every path, ranks
// that share experts out, captured graphs; and what is refused, which needs no GPU.
#include <string_view>

#include <gtest/gtest.h>

#include "exec/cuda/device_weights.h"
#include "tests/exec/cuda/cuda_harness.h"

namespace lindos::exec::harness {

namespace {

// Synthetic weights with a router four times as steep. Two engines that round differently may choose differently where two
// experts are nearly equal; so steep, the last of those chosen weighs so little that it does not show.
class SteepRouter final : public Checkpoint {
 public:
  SteepRouter(const Model& model, Dtype dtype) : weights_(make_synthetic(model, 3, dtype)) {}
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override { return weights_->find(name); }
  [[nodiscard]] std::vector<TensorInfo> tensors() const override { return weights_->tensors(); }
  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end, std::int64_t col_begin, std::int64_t col_end,
            std::span<float> out) const override {
    weights_->read(name, row_begin, row_end, col_begin, col_end, out);
    for (float& v : out) v *= factor(name);
  }
  [[nodiscard]] std::optional<SyntheticRule> synthetic(std::string_view name) const override {
    std::optional<SyntheticRule> rule = weights_->synthetic(name);
    if (rule) rule->scale *= factor(name);
    return rule;
  }
  [[nodiscard]] std::string description() const override { return weights_->description(); }

 private:
  // A power of two: the bits of bf16 stay, and those of f16 for all but the least.
  static float factor(std::string_view name) { return name.ends_with(".gate.weight") ? 4.0F : 1.0F; }
  std::unique_ptr<Checkpoint> weights_;
};

Model base_model() {
  Model model = tiny_model();
  model.hidden = 512;
  model.layers = 3;
  model.q_heads = 8;
  model.kv_heads = 2;
  model.head_dim = 64;
  model.ffn = 1024;
  model.vocab = 1000;
  model.max_positions = 2048;
  model.dtype = Dtype::kBf16;
  return model;
}

// All layers alike, wide experts: over ranks their columns are shared out.
Model wide_experts() {
  Model model = base_model();
  model.name = "wide-experts";
  model.architecture = "MixtralForCausalLM";
  model.moe = {.experts = 8, .top_k = 2, .expert_ffn = 512};
  return model;
}

// A dense layer first, shared experts, weights as the softmax gives them, QK-norm; narrow experts, which ranks deal out whole.
Model narrow_experts() {
  Model model = base_model();
  model.name = "narrow-experts";
  model.architecture = "DeepseekForCausalLM";
  model.qk_norm = true;
  model.moe = {.experts = 16, .top_k = 4, .expert_ffn = 136, .shared_experts = 2, .shared_ffn = 512, .first_dense_layers = 1, .normalise_top_k = false};
  return model;
}

EngineConfig config_of(const Model& model, Backend backend, const Layout& layout = {}, Dtype dtype = Dtype::kBf16) {
  return cuda_test_config(model, std::make_shared<SteepRouter>(model, dtype), backend, layout, dtype);
}

using CudaMoeTest = OnCudaDevice;

// Prompts of few rows, of small, medium and large tiles, in several chunks; then the same text as one prompt.
void expect_like_cpu(const Model& model, const Layout& layout, AllReduce all_reduce = AllReduce::kAuto) {
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    SCOPED_TRACE(model.name + " " + layout.name + " " + std::string(name_of(dtype)) + (all_reduce == AllReduce::kPeer ? " peer" : ""));
    EngineConfig config = config_of(model, Backend::kCuda, layout, dtype);
    config.all_reduce = all_reduce;
    Engine gpu(config);
    Engine cpu(config_of(model, Backend::kCpu, {}, dtype));
    expect_logits_of_cpu(gpu, cpu, {1, 7, 20, 64, 300, 700}, model.vocab, cuda_tolerance(dtype));
  }
}

TEST_F(CudaMoeTest, LogitsEqualThoseOfTheCpu) {
  expect_like_cpu(wide_experts(), {});
  expect_like_cpu(narrow_experts(), {});
}

TEST_F(CudaMoeTest, RanksThatShareExpertsOutGiveTheSameLogits) {
  for (const Model& model : {wide_experts(), narrow_experts()}) {
    for (const Layout& layout : {Layout{"Tensor2Even", {1, 1}, {1}}, Layout{"Tensor2Uneven", {3, 1}, {1}}, Layout{"Tensor3Uneven", {3, 2, 1}, {1}},
                                 Layout{"Pipeline2", {1}, {1, 1}}, Layout{"Tensor2Pipeline2", {1, 1}, {1, 1}}}) {
      expect_like_cpu(model, layout);
    }
    for (const Layout& layout : {Layout{"Tensor2Uneven", {3, 1}, {1}}, Layout{"Tensor3Uneven", {3, 2, 1}, {1}}}) {
      expect_like_cpu(model, layout, AllReduce::kPeer);
    }
  }
}

// From a prompt of one token on, decodes never leave the kernels of few tokens, which widen FP8 experts exactly. Prompts round
// activations to FP8, and a choice between near experts may fall otherwise.
TEST_F(CudaMoeTest, Fp8ExpertsGiveTheLogitsOfTheQuantisedModel) {
  const std::vector<cuda::DeviceInfo> found = std::get<std::vector<cuda::DeviceInfo>>(cuda::devices());
  if (found.front().compute_capability != 90) GTEST_SKIP() << "FP8 products of this backend need compute capability 9.0";
  constexpr double kPromptError = 0.4;
  Model model = narrow_experts();
  model.moe.expert_ffn = 144;
  for (const Layout& layout : {Layout{}, Layout{"Tensor2Uneven", {3, 1}, {1}}}) {
    SCOPED_TRACE(layout.name);
    EngineConfig config = config_of(model, Backend::kCuda, layout);
    config.group.weight_dtype = Dtype::kFp8;
    Engine gpu(config);
    Engine cpu(fp8_reference(config_of(model, Backend::kCpu)));
    // Few rows keep their activations in bf16, of ranks too.
    const LogitsOfBoth decoded = decode_from_one_token(gpu, cpu, model.vocab);
    EXPECT_LE(distance(decoded.gpu, decoded.cpu), kCudaTolerance * largest(decoded.cpu));
    EXPECT_LE(relative_error(decoded.gpu, decoded.cpu), kPromptError);
    for (const std::int64_t length : {20, 64, 700}) {
      SCOPED_TRACE(length);
      const Tokens longer = make_prompt(length, 6, model.vocab);
      (void)gpu.generate(longer, 1);
      (void)cpu.generate(longer, 1);
      EXPECT_LE(relative_error(gpu.last_logits().front(), cpu.last_logits().front()), kPromptError);
    }
  }
}

// Batches that leave padding in their bucket, of few rows and beyond.
TEST_F(CudaMoeTest, BatchesOfEverySizeChooseTheTokensOfTheCpu) {
  const Model model = narrow_experts();
  Engine gpu(config_of(model, Backend::kCuda));
  Engine cpu(config_of(model, Backend::kCpu));
  for (const std::size_t batch : {1U, 2U, 5U, 8U, 9U, 13U}) {
    SCOPED_TRACE(batch);
    std::vector<Tokens> prompts;
    for (std::size_t i = 0; i < batch; ++i) prompts.push_back(make_prompt(static_cast<std::int64_t>(3 + 41 * i % 200), i, model.vocab));
    expect_tokens_of_cpu(gpu.serve(prompts, 4), prompts, 4, cpu);
  }
}

// One rank captures its decode steps, two stages launch the same kernels one by one; the residual stream between them is
// in 16 bits either way. From a prompt of one token on, no product of a library takes part.
TEST_F(CudaMoeTest, GraphsGiveTheBitsOfKernelByKernel) {
  for (const Model& model : {wide_experts(), narrow_experts()}) {
    SCOPED_TRACE(model.name);
    Engine graphs(config_of(model, Backend::kCuda));
    Engine kernels(config_of(model, Backend::kCuda, {"Pipeline2", {1}, {1, 1}}));
    const Tokens prompt = make_prompt(1, 5, model.vocab);
    EXPECT_EQ(graphs.generate(prompt, 40), kernels.generate(prompt, 40));
    EXPECT_EQ(graphs.last_logits().front(), kernels.last_logits().front());
  }
}

TEST_F(CudaMoeTest, RunsRepeatBitForBit) {
  const Model model = narrow_experts();
  Engine gpu(config_of(model, Backend::kCuda));
  std::vector<Tokens> prompts;
  for (std::size_t i = 0; i < 12; ++i) prompts.push_back(make_prompt(static_cast<std::int64_t>(20 + 40 * i), i, model.vocab));
  const EngineRun first = gpu.serve(prompts, 20);
  const EngineRun second = gpu.serve(prompts, 20);
  EXPECT_EQ(first.outcome.outputs, second.outcome.outputs);
  EXPECT_GT(first.ranks.front().family_s[static_cast<std::size_t>(OpFamily::kRoute)], 0.0);
}

std::string refusal(const Model& model, const Layout& layout = {}, Dtype weights = Dtype::kBf16) {
  GroupPlan group = config_of(model, Backend::kCuda, layout).group;
  group.weight_dtype = weights;
  std::string reason;
  return cuda::executable_on_cuda(model, group, reason) ? "" : reason;
}

TEST(CudaMoePlan, WhatExpertsCannotRunIsNamed) {
  EXPECT_EQ(refusal(wide_experts()), "");
  EXPECT_EQ(refusal(narrow_experts(), {"Tensor2Uneven", {3, 1}, {1}}), "");
  EXPECT_EQ(refusal(wide_experts(), {}, Dtype::kFp8), "");
  EXPECT_EQ(refusal(narrow_experts(), {}, Dtype::kFp8), "a share of 136 columns of an expert (multiples of 16 are supported with fp8)");
  Model model = wide_experts();
  model.moe.experts = 12;
  EXPECT_EQ(refusal(model), "12 experts (multiples of 8 up to 256 are supported)");
  model.moe.experts = 264;
  EXPECT_EQ(refusal(model), "264 experts (multiples of 8 up to 256 are supported)");
  model = wide_experts();
  model.moe.experts = 32;
  model.moe.top_k = 17;
  EXPECT_EQ(refusal(model), "17 experts per token (up to 16 are supported)");
  model = wide_experts();
  model.moe.expert_ffn = 500;
  EXPECT_EQ(refusal(model), "a share of 500 columns of an expert (multiples of 8 are supported)");
}

}  // namespace

}  // namespace lindos::exec::harness
