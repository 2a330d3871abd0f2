// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/cuda_shapes.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "exec/cuda/step_layout.h"

namespace lindos::exec {
namespace {

Model llama_8b() {
  Model model;
  model.name = "8b";
  model.hidden = 4096;
  model.layers = 32;
  model.q_heads = 32;
  model.kv_heads = 8;
  model.head_dim = 128;
  model.ffn = 14336;
  model.vocab = 128256;
  model.max_positions = 131072;
  return model;
}

EngineLimits limits_of(std::int64_t tokens, std::int64_t sequences, std::int64_t context) {
  EngineLimits limits;
  limits.max_batched_tokens = tokens;
  limits.max_sequences = sequences;
  limits.max_context = context;
  return limits;
}

TEST(CudaShapes, RowsHaveBothEndsOfEachStair) {
  std::set<std::int64_t> sampled;
  for (const GemmRows& rows : gemm_rows(8192)) {
    for (const std::int64_t m : rows.sampled) {
      EXPECT_TRUE(sampled.insert(m).second) << m << " twice";
      // What a decode of m rows runs as; prompts run as they are.
      if (m <= 128)
        EXPECT_EQ(rows.run, cuda::graph_bucket(m));
      else
        EXPECT_EQ(rows.run, m);
    }
  }
  for (const std::int64_t m :
       {1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 65, 128, 192, 256, 512, 1024, 2048, 4096, 6144, 8192}) {
    EXPECT_TRUE(sampled.contains(m)) << m;
  }
  EXPECT_EQ(*sampled.rbegin(), 8192);
}

TEST(CudaShapes, TheLimitItselfIsSampled) {
  const std::vector<GemmRows> rows = gemm_rows(3000);
  EXPECT_EQ(rows.back(), (GemmRows{3000, {3000}}));
  EXPECT_EQ(gemm_rows(1), (std::vector<GemmRows>{{1, {1}}}));
}

TEST(CudaShapes, AttentionStaysWithinContextBatchAndRoom) {
  const EngineLimits limits = limits_of(2048, 64, 4096);
  constexpr double kTokenBytes = 4096.0;
  constexpr double kRoom = 500e6;
  const std::vector<StageShape> shapes = attention_shapes(llama_8b(), limits, kTokenBytes, kRoom);
  bool longest = false;
  bool prefill_after_context = false;
  for (const StageShape& s : shapes) {
    EXPECT_LE(s.sequences, 64);
    EXPECT_LE(s.sequences * s.tokens, 2048);
    EXPECT_LE(s.context + s.tokens, 4096);
    EXPECT_LE(static_cast<double>(s.sequences * (s.context + s.tokens)) * kTokenBytes, kRoom);
    EXPECT_EQ(std::count(shapes.begin(), shapes.end(), s), 1);
    longest = longest || (s.tokens == 1 && s.context == 4095);
    prefill_after_context = prefill_after_context || (s.tokens > 1 && s.context > 0);
  }
  EXPECT_TRUE(longest);
  EXPECT_TRUE(prefill_after_context);
}

TEST(CudaShapes, StepsTellDecodesFromPromptsByTheirTokens) {
  const std::vector<StageShape> shapes = step_shapes(llama_8b(), limits_of(8192, 256, 8192));
  std::int64_t most_decode = 0;
  std::int64_t least_prompt = 1 << 20;
  for (const StageShape& s : shapes) {
    if (s.tokens == 1)
      most_decode = std::max(most_decode, s.sequences);
    else
      least_prompt = std::min(least_prompt, s.tokens);
  }
  EXPECT_EQ(most_decode, 256);
  EXPECT_EQ(least_prompt, 32);
  for (const std::int64_t n : {1, 2, 4, 8, 9, 16, 17, 32, 33, 64, 65, 128}) {
    EXPECT_TRUE(std::any_of(shapes.begin(), shapes.end(), [&](const StageShape& s) {
      return s.tokens == 1 && s.sequences == n;
    })) << n;
  }
}

TEST(CudaShapes, SmallPlansStillHaveAStep) {
  const std::vector<StageShape> shapes = step_shapes(llama_8b(), limits_of(16, 4, 64));
  ASSERT_EQ(shapes.size(), 1u);
  EXPECT_EQ(shapes.front(), (StageShape{1, 1, 1}));
  EXPECT_FALSE(attention_shapes(llama_8b(), limits_of(16, 4, 64), 4096.0, 1e9).empty());
}

}  // namespace
}  // namespace lindos::exec
