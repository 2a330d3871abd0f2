// SPDX-License-Identifier: Apache-2.0
#include "sim/expert_table.h"

#include <variant>

#include <gtest/gtest.h>

#include "sim/operator_cost.h"

namespace lindos::sim {
namespace {

// 100 TFLOP/s, 1 TB/s. 8 experts of 1,024 × 512 held of 8, two per token.
Profile profile_with(double seconds_at_4, double seconds_at_1024) {
  Profile profile;
  profile.device = "toy-gpu";
  profile.compute_capability = 90;
  profile.matrix_rate = FlopPerSecond(100e12);
  profile.read_bandwidth = BytesPerSecond(1e12);
  profile.read_bandwidth_by_threads = {profile.read_bandwidth};
  profile.experts = {{Dtype::kBf16, 4, 1024, 512, 2, 8, 8, Seconds(seconds_at_4), 0.1},
                     {Dtype::kBf16, 1024, 1024, 512, 2, 8, 8, Seconds(seconds_at_1024), 0.1}};
  return profile;
}

Op product(GemmSite site, std::int64_t tokens, std::int64_t hit) {
  Op op;
  op.kind = OpKind::kMoeGemm;
  op.site = site;
  op.m = tokens * 2;
  op.n = 1024;  // twice 512 columns, or the hidden size
  op.k = site == GemmSite::kGateUp ? 1024 : 512;
  op.experts = 8;
  op.experts_hit = hit;
  op.flop = Flop(1.0);
  return op;
}

double price_of_both(const Profile& profile, std::int64_t tokens, std::int64_t hit) {
  const OperatorCost cost(profile);
  double sum = 0.0;
  for (const GemmSite site : {GemmSite::kGateUp, GemmSite::kDown})
    sum += std::get<Priced>(cost.price(product(site, tokens, hit), Dtype::kBf16, {1, 1})).time.count();
  return sum;
}

// 4 tokens pick 2 of 8: 8 (1 − (3/4)^4) = 5.5, six experts hit; 1,024 hit all eight.
TEST(ExpertTable, BothProductsTogetherTakeTheTimeOfTheSample) {
  const Profile profile = profile_with(50e-6, 200e-6);
  EXPECT_NEAR(price_of_both(profile, 4, 6), 50e-6, 1e-12);
  EXPECT_NEAR(price_of_both(profile, 1024, 8), 200e-6, 1e-12);
}

TEST(ExpertTable, BetweenSamplesTheUtilisationIsBetweenTheirs) {
  const ExpertTable table(profile_with(50e-6, 200e-6));
  const double low = table.utilisation({1.0, 8, 1024, 512}, Dtype::kBf16)->value;
  const double high = table.utilisation({256.0, 8, 1024, 512}, Dtype::kBf16)->value;
  const auto middle = table.utilisation({16.0, 8, 1024, 512}, Dtype::kBf16);
  EXPECT_NEAR(middle->value, 0.5 * (low + high), 1e-12);  // 16 is half way from 1 to 256 in octaves
  EXPECT_EQ(middle->tier, Tier::kInterpolated);
  EXPECT_EQ(table.utilisation({1e6, 8, 1024, 512}, Dtype::kBf16)->tier, Tier::kEdge);
}

TEST(ExpertTable, AnotherFormatHasNoAnswer) {
  const ExpertTable table(profile_with(50e-6, 200e-6));
  EXPECT_TRUE(table.has(Dtype::kBf16));
  EXPECT_FALSE(table.has(Dtype::kFp8));
  EXPECT_FALSE(table.utilisation({1.0, 8, 1024, 512}, Dtype::kFp8).has_value());
}

// The samples hold the activation between the products.
TEST(ExpertTable, TheActivationBetweenIsFree) {
  Op op;
  op.kind = OpKind::kActivation;
  op.activation_bytes = Bytes(1e6);
  const OperatorCost cost(profile_with(50e-6, 200e-6));
  EXPECT_GT(std::get<Priced>(cost.price(op, Dtype::kBf16, {1, 1})).time.count(), 0.0);
  op.experts = 8;
  EXPECT_EQ(std::get<Priced>(cost.price(op, Dtype::kBf16, {1, 1})).time.count(), 0.0);
  EXPECT_GT(std::get<Priced>(cost.price(op, Dtype::kFp8, {1, 1})).time.count(), 0.0);
}

}  // namespace
}  // namespace lindos::sim
