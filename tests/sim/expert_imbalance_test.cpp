// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_imbalance.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/balance.h"
#include "scenarios/ops_builder.h"
#include "sim/datasheet.h"
#include "sim/replica_model.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

Moe moe_of(int experts, int top_k) {
  Moe moe;
  moe.experts = experts;
  moe.top_k = top_k;
  moe.expert_ffn = 128;
  return moe;
}

// Mean over layers of the fullest rank's pairs over the mean rank's: experts are shuffled onto the ranks and every token draws
// top_k different ones by their popularity.
double drawn(const Moe& moe, std::int64_t ranks, std::int64_t tokens, double skew) {
  std::mt19937_64 words(7);
  std::vector<double> shares = expert_shares(moe, skew);
  const auto held = static_cast<std::size_t>(moe.experts / ranks);
  constexpr int kLayers = 300;
  double sum = 0.0;
  for (int layer = 0; layer < kLayers; ++layer) {
    std::shuffle(shares.begin(), shares.end(), words);
    std::vector<double> pairs(static_cast<std::size_t>(ranks), 0.0);
    for (std::int64_t t = 0; t < tokens; ++t) {
      std::vector<double> left = shares;
      for (int k = 0; k < moe.top_k; ++k) {
        std::discrete_distribution<std::size_t> choose(left.begin(), left.end());
        const std::size_t expert = choose(words);
        left[expert] = 0.0;
        pairs[expert / held] += 1.0;
      }
    }
    sum += *std::max_element(pairs.begin(), pairs.end()) / (static_cast<double>(tokens * moe.top_k) / static_cast<double>(ranks));
  }
  return sum / kLayers;
}

// Uniform choices: the approximation by normals is within 3 %.
TEST(FullestRank, OfUniformChoicesIsThatOfDraws) {
  for (const auto& [experts, top_k, ranks, tokens] :
       {std::tuple{64, 4, 8, 32}, std::tuple{64, 4, 8, 256}, std::tuple{32, 2, 4, 100}, std::tuple{128, 8, 16, 64}}) {
    const Moe moe = moe_of(experts, top_k);
    EXPECT_NEAR(fullest_rank(moe, ranks, tokens, 0.0) / drawn(moe, ranks, tokens, 0.0), 1.0, 0.03)
        << experts << ' ' << ranks << ' ' << tokens;
  }
}

// A token cannot choose a popular expert twice, which draws know and the formula does not: it may say up to 15 % more, never
// less than 5 % less.
TEST(FullestRank, OfSkewedChoicesIsNearThatOfDraws) {
  for (const double skew : {0.6, 1.01, 1.2}) {
    const Moe moe = moe_of(128, 8);
    const double ratio = fullest_rank(moe, 8, 128, skew) / drawn(moe, 8, 128, skew);
    EXPECT_GT(ratio, 0.95) << skew;
    EXPECT_LT(ratio, 1.15) << skew;
  }
}

// Many tokens even choices out, not placement. One rank is the fullest and the mean.
TEST(FullestRank, Limits) {
  const Moe moe = moe_of(64, 4);
  EXPECT_EQ(fullest_rank(moe, 1, 100, 1.2), 1.0);
  EXPECT_NEAR(fullest_rank(moe, 8, 1e9, 0.0), 1.0, 1e-3);
  EXPECT_GT(fullest_rank(moe, 8, 1e9, 1.2), 1.2);
  // One token sends at most one pair to a rank of one expert: 64 / 4 of the mean.
  EXPECT_LE(fullest_rank(moe, 64, 1, 3.0), 16.0);
  EXPECT_GT(fullest_rank(moe, 8, 64, 1.2), fullest_rank(moe, 8, 64, 0.6));
}

Seconds step_of(std::int64_t expert_ffn, std::optional<double> skew) {
  Model model = toy::model();
  model.moe = moe_of(64, 4);
  model.moe.expert_ffn = expert_ffn;
  const GroupPlan group =
      make_plan(model, "pool", 1, std::vector<double>(8, 1.0), {}, Dtype::kBf16, EngineLimits{}, kGpuGranule).groups.front();
  ReplicaModel replica(model, group, {}, {{"pool", {toy::gpu_device(), datasheet_profile(toy::gpu_device())}}}, {}, skew);
  return compute_time(replica.work({{0, 2048, true}}, 0, 1), replica.ranks(0), {});
}

TEST(FullestRank, IsWaitedForWhereExpertsAreDealtOut) {
  EXPECT_LT(step_of(128, std::nullopt), step_of(128, 0.0));  // no samples: the mean rank
  EXPECT_LT(step_of(128, 0.0), step_of(128, 1.2));
  // Wide experts are cut into columns, of which every rank has the same of each.
  EXPECT_EQ(step_of(8192, std::nullopt), step_of(8192, 1.2));
}

}  // namespace
}  // namespace lindos::sim
