// SPDX-License-Identifier: Apache-2.0
#include "scenarios/balance.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "tests/scenarios/models.h"

namespace lindos {
namespace {

std::vector<Range> q_heads(const std::vector<TensorShare>& shares) {
  std::vector<Range> out;
  for (const TensorShare& s : shares) out.push_back(s.q_heads);
  return out;
}
std::vector<Range> kv_heads(const std::vector<TensorShare>& shares) {
  std::vector<Range> out;
  for (const TensorShare& s : shares) out.push_back(s.kv_heads);
  return out;
}
std::vector<Range> ffn(const std::vector<TensorShare>& shares) {
  std::vector<Range> out;
  for (const TensorShare& s : shares) out.push_back(s.ffn);
  return out;
}
using Ranges = std::vector<Range>;

TEST(Split, LargestRemainderWithTiesToTheLowerRank) {
  // 5 granules of 10 over 1:1: quotas 2.5 each, the tie goes to rank 0.
  EXPECT_EQ(split(50, 10, {1, 1}), (Ranges{{0, 30}, {30, 50}}));
  // 10 over 1:1:1 in ones: 3.33 each.
  EXPECT_EQ(split(10, 1, {1, 1, 1}), (Ranges{{0, 4}, {4, 7}, {7, 10}}));
  // 7 over 0.1:0.2:0.7 is 0.7, 1.4, 4.9: rank 2 takes the first remainder (.9), rank 0 the second (.7).
  EXPECT_EQ(split(7, 1, {0.1, 0.2, 0.7}), (Ranges{{0, 1}, {1, 2}, {2, 7}}));
}

TEST(Split, RaggedEndAndEmptyShares) {
  EXPECT_EQ(split(37, 16, {1, 1}), (Ranges{{0, 32}, {32, 37}}));
  EXPECT_EQ(split(37, 16, {1, 0, 2}), (Ranges{{0, 16}, {16, 16}, {16, 37}}));
  EXPECT_EQ(split(0, 16, {1, 1}), (Ranges{{0, 0}, {0, 0}}));
  EXPECT_EQ(split(2, 1, {1, 1, 1}), (Ranges{{0, 1}, {1, 2}, {2, 2}}));
}

TEST(Split, RefusesWeightsThatMeanNothing) {
  for (const std::vector<double>& weights :
       {std::vector<double>{}, {0.0, 0.0}, {1.0, -1.0}, {1.0, NAN}, {1.0, INFINITY}}) {
    EXPECT_THROW(static_cast<void>(split(8, 1, weights)), Error);
  }
}

RC_GTEST_PROP(Split, PartitionsWithinOneGranuleOfTheQuota, ()) {
  const auto total = *rc::gen::inRange<std::int64_t>(0, 5000);
  const auto granule = *rc::gen::inRange<std::int64_t>(1, 200);
  const auto parts = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 9), rc::gen::inRange(0, 50));
  std::vector<double> weights(parts.begin(), parts.end());
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  RC_PRE(sum > 0.0);
  const Ranges ranges = split(total, granule, weights);
  RC_ASSERT(ranges.size() == weights.size());
  const double units = std::ceil(static_cast<double>(total) / static_cast<double>(granule));
  std::int64_t end = 0;
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    RC_ASSERT(ranges[i].begin == end);
    RC_ASSERT(ranges[i].end >= end);
    end = ranges[i].end;
    RC_ASSERT(end == total || end % granule == 0);
    if (weights[i] == 0.0) RC_ASSERT(ranges[i].empty());
    const double quota = units * weights[i] / sum;
    const double got = std::ceil(static_cast<double>(ranges[i].size()) / static_cast<double>(granule));
    RC_ASSERT(std::abs(got - quota) < 1.0 + 1e-9);
  }
  RC_ASSERT(end == total);
}

// Engine handbook §6, the three rows of the SmolLM2 table.
TEST(BalanceTensor, SmolLm2OnTwoRanks) {
  const Model model = smollm2();
  const auto whole = balance_tensor(model, {1, 1}, kCpuGranule, KvSplit::kWholeGroups);
  EXPECT_EQ(q_heads(whole), (Ranges{{0, 6}, {6, 9}}));
  EXPECT_EQ(kv_heads(whole), (Ranges{{0, 2}, {2, 3}}));
  EXPECT_EQ(ffn(whole), (Ranges{{0, 768}, {768, 1536}}));

  const auto replicated = balance_tensor(model, {1, 1}, kCpuGranule, KvSplit::kReplicate);
  EXPECT_EQ(q_heads(replicated), (Ranges{{0, 5}, {5, 9}}));
  EXPECT_EQ(kv_heads(replicated), (Ranges{{0, 2}, {1, 3}}));
  EXPECT_EQ(ffn(replicated), (Ranges{{0, 768}, {768, 1536}}));

  for (const KvSplit kv : {KvSplit::kWholeGroups, KvSplit::kReplicate}) {
    const auto twice = balance_tensor(model, {2, 1}, kCpuGranule, kv);
    EXPECT_EQ(q_heads(twice), (Ranges{{0, 6}, {6, 9}}));
    EXPECT_EQ(kv_heads(twice), (Ranges{{0, 2}, {2, 3}}));
    EXPECT_EQ(ffn(twice), (Ranges{{0, 1024}, {1024, 1536}}));
  }
}

// Engine handbook §6: H100 3.35 TB/s and H200 4.8 TB/s. 8 × 3.35/8.15 = 3.29 KV heads, 112 × 0.411 = 46.04
// granules of FFN, 1,002 × 0.411 = 411.9 of vocabulary.
TEST(BalanceTensor, Llama8bOnH100AndH200) {
  const auto shares =
      balance_tensor(llama_8b(), {3.35, 4.8}, kGpuGranule, KvSplit::kWholeGroups);
  EXPECT_EQ(kv_heads(shares), (Ranges{{0, 3}, {3, 8}}));
  EXPECT_EQ(q_heads(shares), (Ranges{{0, 12}, {12, 32}}));
  EXPECT_EQ(ffn(shares), (Ranges{{0, 5888}, {5888, 14336}}));
  EXPECT_EQ(shares[0].vocab, (Range{0, 52736}));
  EXPECT_EQ(shares[1].vocab, (Range{52736, 128256}));
}

TEST(BalanceTensor, MoreRanksThanKvHeadsReplicates) {
  const auto shares = balance_tensor(smollm2(), {1, 1, 1, 1}, kCpuGranule, KvSplit::kReplicate);
  EXPECT_EQ(q_heads(shares), (Ranges{{0, 3}, {3, 5}, {5, 7}, {7, 9}}));
  EXPECT_EQ(kv_heads(shares), (Ranges{{0, 1}, {1, 2}, {1, 3}, {2, 3}}));
}

TEST(BalanceTensor, NarrowExpertsAreDealtOutWideOnesAreCut) {
  Model model = llama_8b();
  model.moe.experts = 128;
  model.moe.top_k = 8;
  model.moe.expert_ffn = 768;  // 96 columns on each of 8 ranks: below a GPU granule
  const auto narrow = balance_tensor(model, std::vector<double>(8, 1.0), kGpuGranule, KvSplit::kReplicate);
  EXPECT_EQ(narrow[1].experts, (Range{16, 32}));
  model.moe.expert_ffn = 14336;
  const auto wide = balance_tensor(model, std::vector<double>(8, 1.0), kGpuGranule, KvSplit::kReplicate);
  EXPECT_EQ(wide[1].experts, (Range{0, 128}));
}

// SmolLM2's head reads 49,152 × 576 = 28.3 M parameters, 8.0 layers of 3,538,944: 19 | 11 + 8.
// Llama-3-8B: 128,256 × 4,096 = 525 M, 2.4 layers of 218.1 M: 17 | 15 + 2.4.
TEST(BalanceLayers, HeadCountsOnTheLastStage) {
  EXPECT_EQ(balance_layers(smollm2(), {1, 1}), (Ranges{{0, 19}, {19, 30}}));
  EXPECT_EQ(balance_layers(llama_8b(), {1, 1}), (Ranges{{0, 17}, {17, 32}}));
  EXPECT_EQ(balance_layers(llama_8b(), {1}), (Ranges{{0, 32}}));
  // Twice the speed on stage 0: (32 + 2.4)·2/3 = 22.9 layers.
  EXPECT_EQ(balance_layers(llama_8b(), {2, 1}), (Ranges{{0, 23}, {23, 32}}));
}

TEST(BalanceLayers, RefusesMoreStagesThanLayers) {
  try {
    static_cast<void>(balance_layers(smollm2(), std::vector<double>(31, 1.0)));
    FAIL() << "31 stages for 30 layers were accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "31 pipeline stages for 30 layers; at most 30 stages are possible");
  }
  EXPECT_THROW(static_cast<void>(balance_layers(smollm2(), {1.0, 0.0})), Error);
}

// Brute force over all cuts into three stages.
RC_GTEST_PROP(BalanceLayers, NoCutIsBetter, ()) {
  Model model = smollm2();
  model.layers = *rc::gen::inRange<std::int64_t>(3, 12);
  model.vocab = *rc::gen::inRange<std::int64_t>(1, 100000);
  std::vector<double> weights;
  for (int i = 0; i < 3; ++i) weights.push_back(*rc::gen::inRange(1, 6));
  const auto slowest = [&](std::int64_t a, std::int64_t b) {
    const double layer = 3538944.0;  // 884,736 attention and 2,654,208 FFN parameters
    const double head = 576.0 * static_cast<double>(model.vocab);
    return std::max({(static_cast<double>(a) * layer + 576.0) / weights[0],
                     static_cast<double>(b - a) * layer / weights[1],
                     (static_cast<double>(model.layers - b) * layer + head) / weights[2]});
  };
  double best = INFINITY;
  for (std::int64_t a = 1; a < model.layers - 1; ++a) {
    for (std::int64_t b = a + 1; b < model.layers; ++b) best = std::min(best, slowest(a, b));
  }
  const Ranges cut = balance_layers(model, weights);
  RC_ASSERT(slowest(cut[0].end, cut[1].end) <= best * (1 + 1e-9));
}

RC_GTEST_PROP(MakePlan, IsAlwaysValid, ()) {
  const Model model = *rc::gen::element(smollm2(), llama_8b());
  const int stages = *rc::gen::inRange(1, 7);
  const auto parts = *rc::gen::container<std::vector<int>>(*rc::gen::inRange(1, 9), rc::gen::inRange(1, 50));
  const std::vector<double> weights(parts.begin(), parts.end());
  const auto kv = *rc::gen::element(KvSplit::kReplicate, KvSplit::kWholeGroups);
  const auto granule = *rc::gen::element(kCpuGranule, kGpuGranule);
  validate_plan(make_plan(model, "pool", stages, weights, {}, Dtype::kBf16, {}, granule, kv), model,
                "plan.json");
}

TEST(MakePlan, NumberFormats) {
  const Model model = smollm2();
  const auto made = [&](Dtype dtype, std::int64_t granule) {
    return make_plan(model, "p", 1, {}, {}, dtype, {}, granule).groups.at(0);
  };
  EXPECT_EQ(made(Dtype::kBf16, kCpuGranule).activation_dtype, Dtype::kF32);
  EXPECT_EQ(made(Dtype::kBf16, kGpuGranule).activation_dtype, Dtype::kBf16);
  EXPECT_EQ(made(Dtype::kF16, kGpuGranule).activation_dtype, Dtype::kF16);
  EXPECT_EQ(made(Dtype::kFp8, kGpuGranule).kv_dtype, Dtype::kBf16);
  EXPECT_EQ(made(Dtype::kF32, kCpuGranule).kv_dtype, Dtype::kF32);
}

}  // namespace
}  // namespace lindos
