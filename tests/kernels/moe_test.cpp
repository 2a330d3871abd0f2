// SPDX-License-Identifier: Apache-2.0
#include "kernels/moe.h"

#include <cmath>
#include <limits>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kernels/reference/moe.h"
#include "tests/kernels/fill.h"

namespace lindos::kernels {
namespace {

using test::Guarded;
using test::normal_floats;
using ::testing::ElementsAre;
using ::testing::FloatEq;

struct Routed {
  std::vector<std::int32_t> ids;
  std::vector<float> weights;
};

Routed routed(const std::vector<float>& logits, std::int64_t m, std::int64_t top_k, bool normalise, int threads = 1) {
  CpuPool pool(threads);
  const std::int64_t experts = std::ssize(logits) / m;
  Routed r{std::vector<std::int32_t>(static_cast<std::size_t>(m * top_k)), std::vector<float>(static_cast<std::size_t>(m * top_k))};
  route(pool, logits.data(), experts, m, experts, top_k, normalise, r.ids.data(), r.weights.data());
  return r;
}

// Softmax of {ln 1, ln 2, ln 3, ln 4}: a tenth of 1, 2, 3, 4.
TEST(Route, WeighsByTheSoftmaxOverAllExperts) {
  const std::vector<float> logits{std::log(1.0F), std::log(4.0F), std::log(2.0F), std::log(3.0F)};
  const Routed plain = routed(logits, 1, 2, false);
  EXPECT_THAT(plain.ids, ElementsAre(1, 3));
  EXPECT_THAT(plain.weights, ElementsAre(FloatEq(0.4F), FloatEq(0.3F)));
  const Routed normalised = routed(logits, 1, 2, true);
  EXPECT_THAT(normalised.ids, ElementsAre(1, 3));
  EXPECT_THAT(normalised.weights, ElementsAre(FloatEq(4.0F / 7.0F), FloatEq(3.0F / 7.0F)));
}

TEST(Route, GivesTiesToTheLowerId) {
  EXPECT_THAT(routed({1, 2, 2, 2, 1}, 1, 2, true).ids, ElementsAre(1, 2));
  EXPECT_THAT(routed({0, 0, 0, 0}, 1, 3, true).ids, ElementsAre(0, 1, 2));
  EXPECT_THAT(routed({0, 3, 0, 0}, 1, 2, true).ids, ElementsAre(0, 1));
}

TEST(Route, TakesNanForTheLeast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(routed({nan, -5, nan, -6}, 1, 2, true).ids, ElementsAre(1, 3));
  EXPECT_THAT(routed({nan, nan, nan}, 1, 2, true).ids, ElementsAre(0, 1));  // distinct whatever the logits
}

RC_GTEST_PROP(Route, EqualsASortOfAll, ()) {
  const auto m = *rc::gen::inRange<std::int64_t>(1, 40);
  const auto experts = *rc::gen::inRange<std::int64_t>(1, 70);
  const auto top_k = *rc::gen::inRange<std::int64_t>(1, experts + 1);
  const auto normalise = *rc::gen::arbitrary<bool>();
  // Few distinct values, so that ties are common.
  const auto logits = *rc::gen::container<std::vector<float>>(
      static_cast<std::size_t>(m * experts), rc::gen::map(rc::gen::inRange(-20, 20), [](int i) { return 0.25F * static_cast<float>(i); }));
  const Routed one = routed(logits, m, top_k, normalise);
  for (std::int64_t row = 0; row < m; ++row) {
    const auto expected = reference::route(logits.data() + row * experts, experts, top_k, normalise);
    for (std::int64_t i = 0; i < top_k; ++i) {
      const auto at = static_cast<std::size_t>(row * top_k + i);
      RC_ASSERT(one.ids[at] == expected[static_cast<std::size_t>(i)].expert);
      RC_ASSERT(std::abs(static_cast<double>(one.weights[at]) / expected[static_cast<std::size_t>(i)].weight - 1.0) < 2e-6);
    }
  }
}

TEST(Route, HasTheSameBitsInAnyBatchAndOnAnyThreads) {
  constexpr std::int64_t kRows = 97, kExperts = 128, kTopK = 8;  // above the size that stays on one thread
  const auto logits = normal_floats(kRows * kExperts, 5);
  const Routed all = routed(logits, kRows, kTopK, true, 3);
  for (const std::int64_t row : {0, 41, 96}) {
    const auto begin = logits.begin() + row * kExperts;
    const Routed alone = routed({begin, begin + kExperts}, 1, kTopK, true);
    for (std::int64_t i = 0; i < kTopK; ++i) {
      EXPECT_EQ(all.ids[static_cast<std::size_t>(row * kTopK + i)], alone.ids[static_cast<std::size_t>(i)]);
      EXPECT_EQ(all.weights[static_cast<std::size_t>(row * kTopK + i)], alone.weights[static_cast<std::size_t>(i)]);
    }
  }
}

// Token 0 → 1, 3; token 1 → 0, 3; token 2 → 1, 2. The rank holds experts 1 to 3.
TEST(GroupByExpert, OrdersPairsByExpertThenToken) {
  const std::vector<std::int32_t> ids{1, 3, 0, 3, 1, 2};
  ExpertRows rows;
  group_by_expert(ids.data(), 3, 2, 1, 3, rows);
  EXPECT_THAT(rows.first, ElementsAre(0, 2, 3, 5));
  EXPECT_THAT(rows.token, ElementsAre(0, 2, 2, 0, 1));
  EXPECT_THAT(rows.row, ElementsAre(0, 3, -1, 4, 1, 2));
}

TEST(GroupByExpert, LeavesARankWithoutExpertsWithoutRows) {
  const std::vector<std::int32_t> ids{1, 3, 0, 3};
  ExpertRows rows;
  group_by_expert(ids.data(), 2, 2, 4, 0, rows);
  EXPECT_EQ(rows.pairs(), 0);
  EXPECT_THAT(rows.row, ElementsAre(-1, -1, -1, -1));
}

// What each of several ranks gathers and combines adds up to the plain sum over all choices.
RC_GTEST_PROP(CombineRows, AddsUpOverRanksToTheWeightedSum, ()) {
  const auto m = *rc::gen::inRange<std::int64_t>(1, 20);
  const auto experts = *rc::gen::inRange<std::int64_t>(1, 12);
  const auto top_k = *rc::gen::inRange<std::int64_t>(1, experts + 1);
  const auto h = *rc::gen::inRange<std::int64_t>(1, 40);
  const auto cut = *rc::gen::inRange<std::int64_t>(0, experts + 1);
  const auto seed = *rc::gen::inRange<std::uint32_t>(0, 1000);
  const auto threads = *rc::gen::inRange(1, 4);
  const auto logits = normal_floats(m * experts, seed);
  const auto x = normal_floats(m * h, seed + 1);
  const Routed chosen = routed(logits, m, top_k, true);
  CpuPool pool(threads);
  std::vector<double> sum(static_cast<std::size_t>(m * h), 0.0);
  for (const auto& [begin, held] : {std::pair{std::int64_t{0}, cut}, std::pair{cut, experts - cut}}) {
    ExpertRows rows;
    group_by_expert(chosen.ids.data(), m, top_k, begin, held, rows);
    std::vector<float> gathered(static_cast<std::size_t>(rows.pairs() * h));
    gather_rows(pool, rows, x.data(), h, h, gathered.data());
    // The expert e multiplies by e + 1.
    for (std::int64_t e = 0; e < held; ++e) {
      for (std::int64_t i = rows.first[static_cast<std::size_t>(e)] * h; i < rows.first[static_cast<std::size_t>(e + 1)] * h; ++i) {
        gathered[static_cast<std::size_t>(i)] *= static_cast<float>(begin + e + 1);
      }
    }
    Guarded y(m, h);
    combine_rows(pool, rows, chosen.weights.data(), m, top_k, gathered.data(), h, y.data(), y.stride());
    RC_ASSERT(y.intact());
    for (std::int64_t t = 0; t < m; ++t) {
      for (std::int64_t j = 0; j < h; ++j) sum[static_cast<std::size_t>(t * h + j)] += static_cast<double>(y.at(t, j));
    }
  }
  for (std::int64_t t = 0; t < m; ++t) {
    double factor = 0.0;
    for (std::int64_t i = t * top_k; i < (t + 1) * top_k; ++i) {
      factor += static_cast<double>(chosen.weights[static_cast<std::size_t>(i)]) * (chosen.ids[static_cast<std::size_t>(i)] + 1);
    }
    for (std::int64_t j = t * h; j < (t + 1) * h; ++j) {
      const double expected = factor * static_cast<double>(x[static_cast<std::size_t>(j)]);
      RC_ASSERT(std::abs(sum[static_cast<std::size_t>(j)] - expected) < 1e-5 * (1.0 + std::abs(expected)));
    }
  }
}

}  // namespace
}  // namespace lindos::kernels
