// SPDX-License-Identifier: Apache-2.0
// What must not change a single bit of the logits: pipelining, chunking, batching, threads; and what must not
// change a token: any layout, preemption.
#include <algorithm>
#include <cmath>
#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

using harness::Engine;
using harness::Layout;
using harness::Tokens;
using Rows = std::vector<std::vector<float>>;

constexpr std::int64_t kNewTokens = 6;

struct Answer {
  Tokens tokens;
  std::vector<float> first;   // logits of the prompt's last position
  std::vector<float> last;    // of the last step
};

Answer answer(const EngineConfig& config, const Tokens& prompt) {
  Engine engine(config);
  Answer result;
  (void)engine.generate(prompt, 1);
  result.first = engine.last_logits().at(0);
  result.tokens = engine.generate(prompt, kNewTokens);
  result.last = engine.last_logits().at(0);
  return result;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void expect_same_bits(const EngineConfig& config, const EngineConfig& other) {
  const std::int64_t vocab = config.model.vocab;
  for (const std::int64_t length : {1, 2, 17, 50}) {
    SCOPED_TRACE("prompt of " + std::to_string(length));
    const Tokens prompt = harness::make_prompt(length, static_cast<std::uint64_t>(length), vocab);
    const Answer a = answer(config, prompt);
    const Answer b = answer(other, prompt);
    EXPECT_EQ(a.first.size(), static_cast<std::size_t>(vocab));
    EXPECT_TRUE(same_bits(a.first, b.first));
    EXPECT_TRUE(same_bits(a.last, b.last));
    EXPECT_EQ(a.tokens, b.tokens);
  }
}

TEST(EqualBits, OfAPipelineAndOneRank) {
  const EngineConfig single = harness::tiny_config();
  expect_same_bits(single, harness::tiny_config({"", {1}, {1, 1}, KvSplit::kReplicate}));
  EngineConfig uneven = harness::tiny_config({"", {1}, {1, 1}, KvSplit::kReplicate});
  for (const std::int64_t cut : {1, 2}) {
    uneven.group.stages[0].layers = {0, cut};
    uneven.group.stages[1].layers = {cut, 3};
    expect_same_bits(single, uneven);
  }
  expect_same_bits(single, harness::tiny_config({"", {1}, {1, 1, 1}, KvSplit::kReplicate}));
}

TEST(EqualBits, OfATensorGroupAloneAndInAPipeline) {
  expect_same_bits(harness::tiny_config({"", {2, 1}, {1}, KvSplit::kReplicate}),
                   harness::tiny_config({"", {2, 1}, {1, 1}, KvSplit::kReplicate}));
}

TEST(EqualBits, OfAChunkedAndAWholePrompt) {
  const EngineConfig whole = harness::tiny_config();
  EngineConfig chunked = whole;
  chunked.group.limits.prefill_chunk = 3;
  expect_same_bits(whole, chunked);
  EngineConfig narrow = harness::tiny_config({"", {1}, {1, 1, 1}, KvSplit::kReplicate});
  narrow.group.limits.max_batched_tokens = 7;
  narrow.group.limits.prefill_chunk = 7;
  narrow.group.limits.max_sequences = 4;
  expect_same_bits(whole, narrow);
}

TEST(EqualBits, OfOneAndTwoThreads) {
  EngineConfig one = harness::tiny_config();
  EngineConfig two = one;
  two.group.stages[0].ranks[0].threads = 2;
  expect_same_bits(one, two);
  EngineConfig mixed = harness::tiny_config({"", {1, 1}, {1}, KvSplit::kReplicate});
  one = mixed;
  mixed.group.stages[0].ranks[1].threads = 3;
  expect_same_bits(one, mixed);
}

// Layers with experts, whole ones dealt out evenly over the ranks.
EngineConfig moe_config(const Layout& layout) {
  const Model model = harness::tiny_moe_model();
  EngineConfig config = harness::make_config(model, make_synthetic(model, 7, Dtype::kF32), layout);
  for (StagePlan& stage : config.group.stages) {
    const auto ranks = std::ssize(stage.ranks);
    for (std::int64_t r = 0; r < ranks; ++r) {
      stage.ranks[static_cast<std::size_t>(r)].share.experts = {model.moe.experts * r / ranks, model.moe.experts * (r + 1) / ranks};
    }
  }
  return config;
}

TEST(EqualBits, OfExpertsInChunksOnThreadsAndInAPipeline) {
  for (const std::vector<double>& ranks : {std::vector<double>{1}, std::vector<double>{2, 1}}) {
    const EngineConfig whole = moe_config({"", ranks, {1}, KvSplit::kReplicate});
    EngineConfig chunked = whole;
    chunked.group.limits.prefill_chunk = 3;
    expect_same_bits(whole, chunked);
    EngineConfig threads = whole;
    threads.group.stages[0].ranks.back().threads = 3;
    expect_same_bits(whole, threads);
    expect_same_bits(whole, moe_config({"", ranks, {1, 1}, KvSplit::kReplicate}));
  }
}

void expect_a_batch_to_equal_each_alone(const EngineConfig& config) {
  std::vector<Tokens> prompts;
  for (const std::int64_t length : {1, 20, 3, 16, 9}) {
    prompts.push_back(harness::make_prompt(length, prompts.size(), config.model.vocab));
  }
  Engine together(config);
  (void)together.serve(prompts, 1);
  const Rows first = together.last_logits();
  const EngineRun run = together.serve(prompts, kNewTokens);
  const Rows last = together.last_logits();
  ASSERT_EQ(run.steps.front().size(), prompts.size()) << "all prompts in one step";
  ASSERT_EQ(first.size(), prompts.size());
  ASSERT_EQ(last.size(), prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    SCOPED_TRACE("prompt of " + std::to_string(prompts[i].size()));
    const Answer alone = answer(config, prompts[i]);
    EXPECT_TRUE(same_bits(first[i], alone.first));
    EXPECT_TRUE(same_bits(last[i], alone.last));
    EXPECT_EQ(run.outcome.outputs[i], alone.tokens);
  }
}

TEST(EqualBits, OfABatchAndEachAlone) { expect_a_batch_to_equal_each_alone(harness::tiny_config()); }

TEST(EqualBits, OfABatchAndEachAloneWithExperts) {
  expect_a_batch_to_equal_each_alone(moe_config({}));
  expect_a_batch_to_equal_each_alone(moe_config({"", {2, 1}, {1}, KvSplit::kReplicate}));
}

TEST(EqualBits, OfAllThatInSixteenBits) {
  for (const Dtype dtype : {Dtype::kBf16, Dtype::kF16}) {
    SCOPED_TRACE(name_of(dtype));
    const auto in_dtype = [dtype](EngineConfig config) {
      config.group.weight_dtype = dtype;
      config.group.kv_dtype = dtype;
      return config;
    };
    for (const EngineConfig& whole : {in_dtype(harness::tiny_config()), in_dtype(moe_config({}))}) {
      EngineConfig chunked = whole;
      chunked.group.limits.prefill_chunk = 3;
      chunked.group.stages[0].ranks[0].threads = 2;
      expect_same_bits(whole, chunked);
      expect_a_batch_to_equal_each_alone(whole);
    }
    const Layout pipeline{"", {1}, {1, 1}, KvSplit::kReplicate};
    expect_same_bits(in_dtype(harness::tiny_config()), in_dtype(harness::tiny_config(pipeline)));
    expect_same_bits(in_dtype(moe_config({})), in_dtype(moe_config(pipeline)));
  }
}

// Six sequences that grow to 4 blocks each in a pool of 9.
TEST(EqualTokens, WithAndWithoutPreemption) {
  constexpr std::int64_t kLong = 40;
  std::vector<Tokens> prompts;
  for (std::uint64_t i = 0; i < 6; ++i) prompts.push_back(harness::make_prompt(10 + static_cast<std::int64_t>(i), i, 200));
  for (const Layout& layout : {Layout{}, Layout{"", {1, 1}, {1}, KvSplit::kReplicate},
                               Layout{"", {1}, {2, 1}, KvSplit::kReplicate}}) {
    EngineConfig config = harness::tiny_config(layout);
    const EngineRun roomy = Engine(config).serve(prompts, kLong);
    config.kv_blocks = 9;
    const EngineRun tight = Engine(config).serve(prompts, kLong);
    EXPECT_EQ(roomy.outcome.final_snapshot.preemptions, 0);
    EXPECT_GT(tight.outcome.final_snapshot.preemptions, 0);
    EXPECT_EQ(tight.outcome.final_snapshot.blocks_used, 0);
    EXPECT_EQ(tight.outcome.outputs, roomy.outcome.outputs);
  }
}

// Prompts that take turns in so many groups, of which each begins alike for `shared` tokens.
std::vector<Tokens> alike(std::uint64_t count, std::uint64_t groups, std::int64_t shared) {
  std::vector<Tokens> prompts;
  for (std::uint64_t i = 0; i < count; ++i) {
    Tokens prompt = harness::make_prompt(shared, i % groups, 200);
    const Tokens own = harness::make_prompt(1 + static_cast<std::int64_t>(i * 5 % 13), 100 + i, 200);
    prompt.insert(prompt.end(), own.begin(), own.end());
    prompts.push_back(prompt);
  }
  return prompts;
}

// One rank, a pipeline, uneven tensor shares, both.
std::vector<Layout> reuse_layouts() {
  return {Layout{}, Layout{"", {1, 1}, {1}, KvSplit::kReplicate}, Layout{"", {1}, {2, 1}, KvSplit::kReplicate},
          Layout{"", {2, 1}, {1, 1}, KvSplit::kReplicate}};
}

// Eight prompts in two groups that begin alike for 35 tokens, that is two full blocks of 16; in a pool that holds all,
// and in one of 8 where some are preempted and cached blocks are evicted.
TEST(EqualTokens, WithAndWithoutPrefixReuse) {
  const std::vector<Tokens> prompts = alike(8, 2, 35);
  for (const Layout& layout : reuse_layouts()) {
    EngineConfig config = harness::tiny_config(layout);
    config.group.limits.max_sequences = 3;
    const EngineRun apart = Engine(config).serve(prompts, 20);
    EXPECT_EQ(apart.outcome.final_snapshot.prefix_hit_tokens, 0);
    config.group.limits.prefix_reuse = true;
    for (const std::int64_t blocks : {64, 8}) {
      SCOPED_TRACE(std::to_string(layout.tensor_weights.size() * layout.stage_weights.size()) + " ranks, " +
                   std::to_string(blocks) + " blocks");
      config.kv_blocks = blocks;
      const EngineRun shared = Engine(config).serve(prompts, 20);
      EXPECT_EQ(shared.outcome.outputs, apart.outcome.outputs);
      EXPECT_GT(shared.outcome.final_snapshot.prefix_hit_tokens, 0);
      EXPECT_EQ(shared.outcome.final_snapshot.blocks_used, 0);
      EXPECT_EQ(shared.outcome.final_snapshot.preemptions > 0, blocks == 8);
    }
  }
}

// 8 blocks hold little more than one request; what they have no room for goes to host memory and comes back.
TEST(EqualTokens, WithAndWithoutHostMemory) {
  const std::vector<Tokens> prompts = alike(9, 3, 67);
  for (const Layout& layout : reuse_layouts()) {
    EngineConfig config = harness::tiny_config(layout);
    config.group.limits.max_sequences = 3;
    const EngineRun apart = Engine(config).serve(prompts, 20);
    config.group.limits.prefix_reuse = true;
    config.kv_blocks = 8;
    for (const std::int64_t host_blocks : {1, 12, 200}) {
      SCOPED_TRACE(std::to_string(layout.tensor_weights.size() * layout.stage_weights.size()) + " ranks, " +
                   std::to_string(host_blocks) + " blocks in host memory");
      config.host_blocks = host_blocks;
      const EngineRun offloads = Engine(config).serve(prompts, 20);
      EXPECT_EQ(offloads.outcome.outputs, apart.outcome.outputs);
      EXPECT_EQ(offloads.outcome.final_snapshot.host_hit_tokens > 0, host_blocks > 1);
      double copying = 0.0;
      for (const RankReport& rank : offloads.ranks) copying += rank.family_s[static_cast<std::size_t>(OpFamily::kKvCopy)];
      EXPECT_GT(copying, 0.0);
    }
  }
}

TEST(EqualBits, OfAPromptWithAndWithoutItsBeginningFromTheCache) {
  EngineConfig config = harness::tiny_config({"", {2, 1}, {1}, KvSplit::kReplicate});
  const Tokens prompt = harness::make_prompt(50, 1, config.model.vocab);
  const Answer apart = answer(config, prompt);
  config.group.limits.prefix_reuse = true;
  config.group.limits.max_sequences = 1;
  Engine engine(config);
  const EngineRun run = engine.serve({prompt, prompt}, kNewTokens);
  EXPECT_EQ(run.outcome.final_snapshot.prefix_hit_tokens, 48);
  EXPECT_EQ(run.outcome.outputs[1], apart.tokens);
  EXPECT_TRUE(same_bits(engine.last_logits().at(0), apart.last));
}

// Another degree sums in another order: the same tokens, logits within the tolerance for f32.
TEST(EqualTokens, UnderEachLayout) {
  std::vector<Tokens> prompts;
  for (const std::int64_t length : {5, 33, 12}) {
    prompts.push_back(harness::make_prompt(length, prompts.size(), 200));
  }
  Engine single(harness::tiny_config());
  const EngineRun expected = single.serve(prompts, kNewTokens);
  const Rows logits = single.last_logits();
  for (const Layout& layout : harness::all_layouts()) {
    SCOPED_TRACE(layout.name);
    Engine engine(harness::tiny_config(layout));
    EXPECT_EQ(engine.serve(prompts, kNewTokens).outcome.outputs, expected.outcome.outputs);
    const Rows rows = engine.last_logits();
    if (layout.stage_weights.size() > 1) continue;   // the last step holds whichever sequences were left
    ASSERT_EQ(rows.size(), logits.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      float most = 0.0F;
      for (const float x : logits[i]) most = std::max(most, std::abs(x));
      EXPECT_THAT(rows[i], ::testing::Pointwise(::testing::FloatNear(2e-5F * most), logits[i]));
    }
  }
}

TEST(Replica, ServesAgainAndAgain) {
  Engine engine(harness::tiny_config({"", {1, 1}, {1, 1}, KvSplit::kReplicate}));
  const Tokens prompt = harness::make_prompt(9, 1, 200);
  const Tokens first = engine.generate(prompt, kNewTokens);
  (void)engine.generate(harness::make_prompt(30, 2, 200), kNewTokens);
  EXPECT_EQ(engine.generate(prompt, kNewTokens), first);
}

TEST(Replica, EndsAtAStopToken) {
  Engine engine(harness::tiny_config());
  const Tokens prompt = harness::make_prompt(9, 1, 200);
  const Tokens all = engine.generate(prompt, 12);
  RunOptions options;
  options.prompt = [&](const RequestSpec&) { return prompt; };
  options.stop_tokens = {all[4]};
  const auto stop = std::find(all.begin(), all.end(), all[4]);
  const EngineRun run = engine.replica().run({{0, Seconds{0}, 9, 12}}, options);
  EXPECT_EQ(run.outcome.outputs.front(), Tokens(all.begin(), stop + 1));
}

}  // namespace
}  // namespace lindos::exec
