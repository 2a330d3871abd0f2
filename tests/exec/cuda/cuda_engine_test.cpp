// SPDX-License-Identifier: Apache-2.0
// The CUDA engine against the CPU engine on the same synthetic weights (bf16, f16): logits, tokens, layouts, graphs.
#include <cmath>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"
#include "exec/cuda/device_weights.h"
#include "scenarios/error.h"
#include "tests/exec/cuda/cuda_harness.h"

namespace lindos::exec::harness {

namespace {

Model small_model() {
  Model model = tiny_model();
  model.hidden = 576;
  model.layers = 3;
  model.q_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 64;
  model.ffn = 1536;
  model.vocab = 1000;
  model.max_positions = 2048;
  model.dtype = Dtype::kBf16;
  return model;
}

Model wide_model() {
  Model model = small_model();
  model.hidden = 512;
  model.q_heads = 8;
  model.kv_heads = 2;
  model.head_dim = 128;
  model.ffn = 1024;
  model.qk_norm = true;
  model.qkv_bias = true;
  model.o_bias = true;
  model.mlp_bias = true;
  model.tied_embeddings = true;
  return model;
}

EngineConfig config_of(const Model& model, Backend backend, const Layout& layout = {}, Dtype dtype = Dtype::kBf16) {
  return cuda_test_config(model, make_synthetic(model, 3, dtype), backend, layout, dtype);
}

using CudaEngineTest = OnCudaDevice;

void expect_like_cpu(const Model& model, const Layout& layout, AllReduce all_reduce = AllReduce::kAuto) {
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    SCOPED_TRACE(layout.name + " hidden " + std::to_string(model.hidden) + " " + std::string(name_of(dtype)) +
                 (all_reduce == AllReduce::kPeer ? " peer" : ""));
    EngineConfig config = config_of(model, Backend::kCuda, layout, dtype);
    config.all_reduce = all_reduce;
    Engine gpu(config);
    Engine cpu(config_of(model, Backend::kCpu, {}, dtype));
    expect_logits_of_cpu(gpu, cpu, {1, 63, 64, 300, 700}, model.vocab, cuda_tolerance(dtype));
  }
}

TEST_F(CudaEngineTest, LogitsEqualThoseOfTheCpu) {
  expect_like_cpu(small_model(), {});
  expect_like_cpu(wide_model(), {});
}

TEST_F(CudaEngineTest, TensorAndPipelineRanksOnOneDeviceGiveTheSameLogits) {
  for (const Layout& layout : all_layouts()) {
    if (layout.name == "Single" || layout.name == "Tensor8WithIdleRanks") continue;
    for (const AllReduce all_reduce : {AllReduce::kAuto, AllReduce::kPeer}) expect_like_cpu(small_model(), layout, all_reduce);
  }
}

// Ranks that meet in peer memory replay decode steps as graphs, those that events order launch the same kernels one by one; both add in
// rank order. From a prompt of one token on, no product of a library takes part.
TEST_F(CudaEngineTest, PeerMemoryAndEventsGiveTheSameBits) {
  const Model model = small_model();
  for (const Layout& layout : {Layout{"Tensor2Even", {1, 1}, {1}}, Layout{"Tensor3Uneven", {3, 2, 1}, {1}}}) {
    SCOPED_TRACE(layout.name);
    std::vector<std::vector<float>> logits;
    std::vector<Tokens> tokens;
    for (const AllReduce all_reduce : {AllReduce::kAuto, AllReduce::kPeer}) {
      EngineConfig config = config_of(model, Backend::kCuda, layout);
      config.all_reduce = all_reduce;
      Engine engine(config);
      tokens.push_back(engine.generate(make_prompt(1, 5, model.vocab), 12));
      logits.push_back(engine.last_logits().front());
    }
    EXPECT_EQ(tokens[0], tokens[1]);
    EXPECT_EQ(logits[0], logits[1]);
  }
}

// The same numbers on parts of the device, whatever their sizes; every product is chosen anew for its part.
TEST_F(CudaEngineTest, RanksOnPartsOfTheDeviceGiveTheSameLogits) {
  const cuda::DeviceInfo device = std::get<std::vector<cuda::DeviceInfo>>(cuda::devices()).front();
  if (device.multiprocessors < 96) GTEST_SKIP() << device.name << " has " << device.multiprocessors << " multiprocessors";
  const Model model = small_model();
  for (const Layout& layout : all_layouts()) {
    if (layout.tensor_weights.size() * layout.stage_weights.size() != 2) continue;
    SCOPED_TRACE(layout.name);
    EngineConfig config = config_of(model, Backend::kCuda, layout);
    config.multiprocessors = {16, 64};
    Engine gpu(config);
    Engine cpu(config_of(model, Backend::kCpu));
    const Tokens prompt = make_prompt(300, 5, model.vocab);
    (void)gpu.generate(prompt, 1);
    const std::vector<float> logits = gpu.last_logits().front();
    (void)cpu.generate(prompt, 1);
    const std::vector<float> wanted = cpu.last_logits().front();
    EXPECT_LE(distance(logits, wanted), kCudaTolerance * largest(wanted));
  }
}

TEST_F(CudaEngineTest, MorePartsThanTheDeviceHasAreRefused) {
  EngineConfig config = config_of(small_model(), Backend::kCuda);
  config.multiprocessors = {100000};
  try {
    Engine gpu(config);
    FAIL() << "a part larger than the device";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("the device has"), std::string::npos) << e.what();
  }
  config.multiprocessors = {16, 16};
  EXPECT_THROW(Engine{config}, Error);   // one rank
}

// Decode keeps activations in bf16; prompts round them to FP8 too. A model of this size written in torch, 48 draws of
// weights and prompts: the logits move by 8 to 17 % of themselves in the mean square.
constexpr double kFp8PromptError = 0.2;

TEST_F(CudaEngineTest, Fp8WeightsGiveTheLogitsOfTheQuantisedModel) {
  const std::vector<cuda::DeviceInfo> found = std::get<std::vector<cuda::DeviceInfo>>(cuda::devices());
  if (found.front().compute_capability != 90) GTEST_SKIP() << "FP8 products of this backend need compute capability 9.0";
  for (const Model& model : {small_model(), wide_model()}) {
    SCOPED_TRACE(model.hidden);
    EngineConfig config = config_of(model, Backend::kCuda);
    config.group.weight_dtype = Dtype::kFp8;
    Engine gpu(config);
    Engine cpu(fp8_reference(config_of(model, Backend::kCpu)));
    // A prompt of one token and decodes after it never leave the kernel for few rows.
    const LogitsOfBoth decoded = decode_from_one_token(gpu, cpu, model.vocab);
    EXPECT_LE(distance(decoded.gpu, decoded.cpu), kCudaTolerance * largest(decoded.cpu));
    for (const std::int64_t length : {63, 300}) {
      SCOPED_TRACE(length);
      const Tokens longer = make_prompt(length, 6, model.vocab);
      (void)gpu.generate(longer, 1);
      const std::vector<float> prefilled = gpu.last_logits().front();
      (void)cpu.generate(longer, 1);
      const std::vector<float> exact = cpu.last_logits().front();
      EXPECT_LE(relative_error(prefilled, exact), kFp8PromptError);
      EXPECT_GE(relative_error(prefilled, exact), kFp8PromptError / 20);   // they were rounded
    }
  }
}

// Every token of a batch is one that the CPU engine could have chosen: its logit is within the tolerance of the best.
TEST_F(CudaEngineTest, BatchesOfEverySizeChooseTheTokensOfTheCpu) {
  const Model model = small_model();
  Engine gpu(config_of(model, Backend::kCuda));
  Engine cpu(config_of(model, Backend::kCpu));
  for (const std::size_t batch : {1U, 2U, 3U, 5U, 8U, 9U, 13U}) {
    SCOPED_TRACE(batch);
    std::vector<Tokens> prompts;
    for (std::size_t i = 0; i < batch; ++i) prompts.push_back(make_prompt(static_cast<std::int64_t>(3 + 41 * i % 200), i, model.vocab));
    expect_tokens_of_cpu(gpu.serve(prompts, 4), prompts, 4, cpu);
  }
}

// Twelve sequences run in the graph of sixteen rows, more than a prompt may have here: its padding has room too.
TEST_F(CudaEngineTest, AGraphMayHaveMoreRowsThanAPrompt) {
  const Model model = small_model();
  EngineConfig config = config_of(model, Backend::kCuda);
  config.group.limits.max_batched_tokens = 12;
  config.group.limits.prefill_chunk = 12;
  config.group.limits.max_sequences = 12;
  Engine gpu(config);
  Engine cpu(config_of(model, Backend::kCpu));
  std::vector<Tokens> prompts;
  for (std::size_t i = 0; i < 12; ++i) prompts.push_back(make_prompt(static_cast<std::int64_t>(3 + i), i, model.vocab));
  expect_tokens_of_cpu(gpu.serve(prompts, 4), prompts, 4, cpu);
}

// Blocks go to host memory and come back beside the layers; every token is still one that the CPU engine could have chosen.
TEST_F(CudaEngineTest, BlocksComeBackFromHostMemory) {
  const Model model = small_model();
  std::vector<Tokens> prompts;
  for (std::size_t i = 0; i < 9; ++i) {
    // Three beginnings of 150 tokens, each by three prompts that differ after it.
    Tokens prompt = make_prompt(150, i % 3, model.vocab);
    const Tokens rest = make_prompt(static_cast<std::int64_t>(20 + i), 10 + i, model.vocab);
    prompt.insert(prompt.end(), rest.begin(), rest.end());
    prompts.push_back(std::move(prompt));
  }
  EngineConfig config = config_of(model, Backend::kCuda);
  config.group.limits.prefix_reuse = true;
  config.group.limits.max_sequences = 2;
  config.kv_blocks = 6;   // two requests of three; none stays for the next of its kind
  config.host_blocks = 40;
  Engine gpu(config);
  const EngineRun run = gpu.serve(prompts, 8);
  EXPECT_GT(run.outcome.final_snapshot.host_hit_tokens, 0);
  EXPECT_GT(run.ranks.front().family_s[static_cast<std::size_t>(OpFamily::kKvCopy)], 0.0);
  Engine cpu(config_of(model, Backend::kCpu));
  expect_tokens_of_cpu(run, prompts, 8, cpu);
}

// The same run again: graphs, tickets and pages left behind change nothing.
TEST_F(CudaEngineTest, RunsRepeatBitForBit) {
  const Model model = small_model();
  Engine gpu(config_of(model, Backend::kCuda));
  std::vector<Tokens> prompts;
  for (std::size_t i = 0; i < 6; ++i) prompts.push_back(make_prompt(static_cast<std::int64_t>(20 + 90 * i), i, model.vocab));
  const EngineRun first = gpu.serve(prompts, 20);
  const EngineRun second = gpu.serve(prompts, 20);
  EXPECT_EQ(first.outcome.outputs, second.outcome.outputs);
  EXPECT_GT(first.ranks.front().family_s[static_cast<std::size_t>(OpFamily::kGateUp)], 0.0);
}

TEST_F(CudaEngineTest, SampledTokensFollowTheSeed) {
  const Model model = small_model();
  EngineConfig config = config_of(model, Backend::kCuda);
  config.sampling.temperature = 1.0;
  config.sampling.seed = 4;
  Engine gpu(config);
  const Tokens prompt = make_prompt(30, 1, model.vocab);
  const Tokens first = gpu.generate(prompt, 12);
  EXPECT_EQ(gpu.generate(prompt, 12), first);
  config.sampling.seed = 5;
  EXPECT_NE(Engine(config).generate(prompt, 12), first);
}

TEST_F(CudaEngineTest, WhatItCannotRunIsNamed) {
  Model model = small_model();
  EngineConfig config = config_of(model, Backend::kCuda);
  config.group.weight_dtype = Dtype::kF32;
  try {
    Engine gpu(config);
    FAIL() << "f32 weights ran";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInput);
    EXPECT_NE(std::string(e.what()).find("weights in f32"), std::string::npos) << e.what();
  }
}

// Formats that agree run; others are named, with what was expected. Needs no device.
TEST(CudaPlan, FormatsThatDoNotAgreeAreNamed) {
  const auto refusal = [](Dtype weights, Dtype kv, Dtype activations) {
    const Model model = small_model();
    GroupPlan group = config_of(model, Backend::kCuda).group;
    group.weight_dtype = weights;
    group.kv_dtype = kv;
    group.activation_dtype = activations;
    std::string reason;
    return cuda::executable_on_cuda(model, group, reason) ? "" : reason;
  };
  EXPECT_EQ(refusal(Dtype::kBf16, Dtype::kBf16, Dtype::kBf16), "");
  EXPECT_EQ(refusal(Dtype::kF16, Dtype::kF16, Dtype::kF16), "");
  EXPECT_EQ(refusal(Dtype::kFp8, Dtype::kBf16, Dtype::kBf16), "");
  const std::string expected = " (all three in bf16 or all in f16, or weights in fp8 and the rest in bf16 is supported)";
  EXPECT_EQ(refusal(Dtype::kF16, Dtype::kBf16, Dtype::kF16), "weights in f16, KV in bf16, activations in f16" + expected);
  EXPECT_EQ(refusal(Dtype::kF16, Dtype::kF16, Dtype::kBf16), "weights in f16, KV in f16, activations in bf16" + expected);
  EXPECT_EQ(refusal(Dtype::kBf16, Dtype::kF16, Dtype::kBf16), "weights in bf16, KV in f16, activations in bf16" + expected);
  EXPECT_EQ(refusal(Dtype::kFp8, Dtype::kF16, Dtype::kF16), "weights in fp8, KV in f16, activations in f16" + expected);
  EXPECT_EQ(refusal(Dtype::kF32, Dtype::kF32, Dtype::kF32), "weights in f32, KV in f32, activations in f32" + expected);
}

TEST(CudaEngineWithoutDevice, IsRefusedWithTheReason) {
  const auto found = cuda::devices();
  if (std::holds_alternative<std::vector<cuda::DeviceInfo>>(found)) GTEST_SKIP() << "this machine has a GPU";
  try {
    Engine gpu(config_of(small_model(), Backend::kCuda));
    FAIL() << "it ran without a device";
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kEnvironment);
    EXPECT_NE(std::string(e.what()).find(std::get<Unavailable>(found).reason), std::string::npos) << e.what();
  }
}

}  // namespace

}  // namespace lindos::exec::harness
