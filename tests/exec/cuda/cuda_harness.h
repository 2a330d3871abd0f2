// SPDX-License-Identifier: Apache-2.0
// What tests of the CUDA engine share: skip without a device, configurations of both engines, logits and tokens against
// those of the CPU engine.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "exec/cuda/device_info.h"
#include "kernels/e4m3.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec::harness {

// Of the largest logit: bf16 activations against f32 ones (engine handbook, section 6: start from 2e-2). f16 keeps three bits
// more, of which two are asked for.
inline constexpr float kCudaTolerance = 3e-2F;
[[nodiscard]] constexpr float cuda_tolerance(Dtype dtype) { return dtype == Dtype::kF16 ? kCudaTolerance / 4.0F : kCudaTolerance; }

class OnCudaDevice : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto found = cuda::devices();
    if (const auto* none = std::get_if<Unavailable>(&found)) GTEST_SKIP() << none->reason;
  }
};

inline EngineConfig cuda_test_config(const Model& model, std::shared_ptr<const Checkpoint> checkpoint, Backend backend, const Layout& layout = {},
                                     Dtype dtype = Dtype::kBf16) {
  EngineConfig config = make_config(model, std::move(checkpoint), layout, dtype);
  config.backend = backend;
  config.group.limits.max_batched_tokens = 512;
  config.group.limits.prefill_chunk = 512;
  config.group.limits.max_sequences = 16;
  config.group.limits.max_context = 1024;
  config.kv_blocks = 1024;
  if (backend == Backend::kCuda) {
    config.group.limits.block_tokens = 64;
    config.group.activation_dtype = dtype;
    config.kv_blocks = 256;
  }
  return config;
}

inline float largest(const std::vector<float>& values) {
  float most = 0.0F;
  for (const float v : values) most = std::max(most, std::abs(v));
  return most;
}

inline float distance(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float worst = 0.0F;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float apart = std::abs(a[i] - b[i]);
    if (!(apart <= worst)) worst = apart;   // a NaN stays
  }
  return worst;
}

// Of the difference in the mean square.
inline double relative_error(const std::vector<float>& values, const std::vector<float>& wanted) {
  double error = 0.0;
  double norm = 0.0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    error += std::pow(static_cast<double>(values[i]) - static_cast<double>(wanted[i]), 2);
    norm += std::pow(static_cast<double>(wanted[i]), 2);
  }
  return std::sqrt(error / norm);
}

// Projections as FP8 with a scale per row leaves them; the rest as it is.
class Fp8Checkpoint final : public Checkpoint {
 public:
  explicit Fp8Checkpoint(std::shared_ptr<const Checkpoint> whole) : whole_(std::move(whole)) {}
  [[nodiscard]] const TensorInfo* find(std::string_view name) const override { return whole_->find(name); }
  [[nodiscard]] std::vector<TensorInfo> tensors() const override { return whole_->tensors(); }
  [[nodiscard]] std::string description() const override { return whole_->description() + ", fp8"; }
  void read(std::string_view name, std::int64_t row_begin, std::int64_t row_end, std::int64_t col_begin, std::int64_t col_end,
            std::span<float> out) const override {
    if (!name.ends_with("_proj.weight")) {
      whole_->read(name, row_begin, row_end, col_begin, col_end, out);
      return;
    }
    const std::int64_t cols = whole_->find(name)->shape.at(1);
    std::vector<float> row(static_cast<std::size_t>(cols));
    std::size_t at = 0;
    for (std::int64_t r = row_begin; r < row_end; ++r) {
      whole_->read(name, r, r + 1, 0, cols, row);
      const float scale = largest(row) / kernels::kLargestE4m3;
      for (std::int64_t c = col_begin; c < col_end; ++c) {
        out[at++] = kernels::from_e4m3(kernels::to_e4m3(row[static_cast<std::size_t>(c)] * (1.0F / scale))) * scale;
      }
    }
  }

 private:
  std::shared_ptr<const Checkpoint> whole_;
};

// Logits after a prompt of each length and a continuation by both engines, then after all of it as one prompt.
inline void expect_logits_of_cpu(Engine& gpu, Engine& cpu, const std::vector<std::int64_t>& lengths, std::int64_t vocab,
                                float tolerance = kCudaTolerance) {
  for (const std::int64_t length : lengths) {
    SCOPED_TRACE(length);
    Tokens prompt = make_prompt(length, 5, vocab);
    const Tokens out = gpu.generate(prompt, 6);
    const std::vector<float> decoded = gpu.last_logits().front();
    prompt.insert(prompt.end(), out.begin(), out.end() - 1);
    (void)cpu.generate(prompt, 1);
    const std::vector<float> reference = cpu.last_logits().front();
    EXPECT_LE(distance(decoded, reference), tolerance * largest(reference)) << "decoded";
    (void)gpu.generate(prompt, 1);
    EXPECT_LE(distance(gpu.last_logits().front(), reference), tolerance * largest(reference)) << "as a prompt";
  }
}

// Of the CPU engine in f32 on the weights that FP8 leaves: what an engine with FP8 weights is held against.
inline EngineConfig fp8_reference(EngineConfig cpu) {
  cpu.group.weight_dtype = Dtype::kF32;
  cpu.checkpoint = std::make_shared<Fp8Checkpoint>(cpu.checkpoint);
  return cpu;
}

// Logits of both engines after a prompt of one token and five more of the GPU's: steps of one row only.
struct LogitsOfBoth {
  std::vector<float> gpu, cpu;
};
inline LogitsOfBoth decode_from_one_token(Engine& gpu, Engine& cpu, std::int64_t vocab) {
  LogitsOfBoth both;
  Tokens prompt = make_prompt(1, 5, vocab);
  const Tokens out = gpu.generate(prompt, 6);
  both.gpu = gpu.last_logits().front();
  prompt.insert(prompt.end(), out.begin(), out.end() - 1);
  (void)cpu.generate(prompt, 1);
  both.cpu = cpu.last_logits().front();
  return both;
}

// Every token is one that the CPU engine could have chosen: its logit is within the tolerance of the best.
inline void expect_tokens_of_cpu(const EngineRun& run, const std::vector<Tokens>& prompts, std::size_t tokens, Engine& cpu) {
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Tokens text = prompts[i];
    ASSERT_EQ(run.outcome.outputs[i].size(), tokens);
    for (const scheduler::TokenId id : run.outcome.outputs[i]) {
      (void)cpu.generate(text, 1);
      const std::vector<float> logits = cpu.last_logits().front();
      const float best = *std::max_element(logits.begin(), logits.end());
      EXPECT_GE(logits[static_cast<std::size_t>(id)], best - kCudaTolerance * largest(logits)) << "sequence " << i;
      text.push_back(id);
    }
  }
}

}  // namespace lindos::exec::harness
