// SPDX-License-Identifier: Apache-2.0
#include "kernels/sample.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "kernels/philox.h"
#include "tests/kernels/fill.h"

namespace lindos::kernels {
namespace {

// Published vectors of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDraw, IsTheTopOfThePhiloxWordsAndCoversTheUnitInterval) {
  // Words 0 and 1 of the first vector above, top 53 of 64 bits.
  EXPECT_EQ(uniform_draw(0, 0, 0), static_cast<double>(0x6627e8d5e169c58dULL >> 11U) * 0x1p-53);
  double sum = 0.0;
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform_draw(1, static_cast<std::uint64_t>(i % 7), static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.01);  // standard deviation of the mean: 0.002
}

std::vector<Candidate> sorted_all(const std::vector<float>& logits, std::int32_t first_id, std::int64_t count) {
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const float x = std::isnan(logits[i]) ? -std::numeric_limits<float>::infinity() : logits[i];
    all.push_back({x, static_cast<std::int32_t>(first_id + static_cast<std::int32_t>(i))});
  }
  std::stable_sort(all.begin(), all.end(), [](const Candidate& a, const Candidate& b) { return a.logit > b.logit; });
  all.resize(std::min(all.size(), static_cast<std::size_t>(count)));
  return all;
}

RC_GTEST_PROP(TopCandidates, EqualsAStableSortOfAll, ()) {
  const auto n = *rc::gen::inRange<std::int64_t>(0, 1500);
  const auto count = *rc::gen::inRange<std::int64_t>(0, 80);
  const auto levels = *rc::gen::element(1.0F, 5.0F, 1000.0F);  // few levels: many ties
  const auto seed = *rc::gen::arbitrary<std::uint32_t>();
  auto logits = test::normal_floats(n, seed);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    logits[i] = std::round(logits[i] * levels);
    if (i % 11 == 5) logits[i] = -std::numeric_limits<float>::infinity();  // masked
    if (i % 97 == 50) logits[i] = std::numeric_limits<float>::quiet_NaN();
  }
  std::vector<Candidate> out{{1.0F, 2}};
  top_candidates(logits.data(), n, 1000, count, out);
  const auto expected = sorted_all(logits, 1000, count);
  RC_ASSERT(out.size() == expected.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    RC_ASSERT(out[i].id == expected[i].id);
    RC_ASSERT(out[i].logit == expected[i].logit);
  }
}

TEST(Sample, GreedyTakesTheFirst) {
  EXPECT_EQ(sample({{3.0F, 9}, {2.0F, 1}}, {}, 0, 0), 9);
}

// Frequencies over many positions against the softmax, five standard deviations wide.
TEST(Sample, FollowsTheSoftmaxAtTheTemperature) {
  const std::vector<Candidate> candidates{{2.0F, 10}, {1.0F, 11}, {0.0F, 12}};
  SamplingParameters parameters;
  parameters.temperature = 0.7;
  parameters.seed = 5;
  std::map<std::int32_t, double> share;
  constexpr int kDraws = 40000;
  for (int i = 0; i < kDraws; ++i) share[sample(candidates, parameters, 3, static_cast<std::uint64_t>(i))] += 1.0 / kDraws;
  const double sum = 1.0 + std::exp(-1.0 / 0.7) + std::exp(-2.0 / 0.7);
  for (int i = 0; i < 3; ++i) {
    const double p = std::exp(-i / 0.7) / sum;
    EXPECT_NEAR(share[10 + i], p, 5.0 * std::sqrt(p * (1.0 - p) / kDraws));
  }
}

TEST(Sample, FiltersKeepAtLeastTheFirstAndOnlyWhatTheyAllow) {
  // Probabilities 0.5, 0.25, 0.125, 0.125.
  const auto logit = [](double p) { return static_cast<float>(std::log(p)); };
  const std::vector<Candidate> candidates{{logit(0.5), 0}, {logit(0.25), 1}, {logit(0.125), 2}, {logit(0.125), 3}};
  const auto seen = [&](SamplingParameters p) {
    p.temperature = 1.0;
    std::int32_t largest = 0;
    for (std::uint64_t i = 0; i < 500; ++i) largest = std::max(largest, sample(candidates, p, 0, i));
    return largest;
  };
  EXPECT_EQ(seen({}), 3);
  EXPECT_EQ(seen({.top_k = 2}), 1);
  EXPECT_EQ(seen({.top_p = 0.6}), 1);  // 0.5 < 0.6, so the second still enters
  EXPECT_EQ(seen({.top_p = 0.4}), 0);
  EXPECT_EQ(seen({.top_p = 0.0}), 0);
  EXPECT_EQ(seen({.min_p = 0.3}), 1);  // 0.25 / 0.5 = 0.5 passes, 0.125 / 0.5 = 0.25 does not
  EXPECT_EQ(seen({.min_p = 1.0}), 0);
}

}  // namespace
}  // namespace lindos::kernels
