// SPDX-License-Identifier: Apache-2.0
#include "exec/model/rope_table.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::exec {
namespace {

Model model_of(std::int64_t head_dim, double theta) {
  Model model;
  model.name = "rope";
  model.head_dim = head_dim;
  model.rope_theta = theta;
  model.max_positions = 4096;
  return model;
}

// The table against angles position × frequency in double. An angle is rounded to f32 before its cosine, hence
// the bound: half an ulp of the product and of the frequency.
void expect_frequencies(const RopeTable& table, const std::vector<double>& frequencies, double scale = 1.0) {
  ASSERT_EQ(table.half, static_cast<std::int64_t>(frequencies.size()));
  ASSERT_EQ(table.cos.size(), static_cast<std::size_t>(table.positions * table.half));
  ASSERT_EQ(table.sin.size(), table.cos.size());
  for (std::int64_t p = 0; p < table.positions; ++p) {
    for (std::size_t i = 0; i < frequencies.size(); ++i) {
      const double angle = static_cast<double>(p) * frequencies[i];
      const double bound = scale * (angle * 1.2e-7 + 6e-8);
      const auto at = static_cast<std::size_t>(p * table.half) + i;
      ASSERT_NEAR(static_cast<double>(table.cos[at]), scale * std::cos(angle), bound) << p << ' ' << i;
      ASSERT_NEAR(static_cast<double>(table.sin[at]), scale * std::sin(angle), bound) << p << ' ' << i;
    }
  }
}

std::vector<double> plain_frequencies(const Model& model) {
  std::vector<double> all;
  for (std::int64_t i = 0; i < model.head_dim / 2; ++i) {
    all.push_back(1.0 / std::pow(model.rope_theta, static_cast<double>(2 * i) / static_cast<double>(model.head_dim)));
  }
  return all;
}

TEST(RopeTable, TurnsByPowersOfTheta) {
  const RopeTable table = make_rope_table(model_of(8, 10000.0), 300);
  expect_frequencies(table, {1.0, 0.1, 0.01, 0.001});
  EXPECT_EQ(table.attention_scale, 1.0);
}

TEST(RopeTable, StretchesAllFrequenciesLinearly) {
  Model model = model_of(8, 10000.0);
  model.rope.kind = RopeKind::kLinear;
  model.rope.factor = 4.0;
  expect_frequencies(make_rope_table(model, 300), {0.25, 0.025, 0.0025, 0.00025});
}

// Llama 3.1 (theta 500,000, factor 8, 1 and 4, 8,192 positions, 128 dimensions). Wavelength 2π·theta^(i/64):
// 2,048 = 8192/4 lies between i = 28 and 29, 8,192 between 34 and 35.
TEST(RopeTable, KeepsBlendsAndStretchesForLlama3) {
  Model model = model_of(128, 500000.0);
  model.rope.kind = RopeKind::kLlama3;
  model.rope.factor = 8.0;
  model.rope.low_freq_factor = 1.0;
  model.rope.high_freq_factor = 4.0;
  model.rope.original_max_positions = 8192;
  std::vector<double> expected = plain_frequencies(model);
  for (std::size_t i = 29; i <= 34; ++i) {
    const double turns = 8192.0 * expected[i] / (2.0 * 3.14159265358979323846);
    const double kept = (turns - 1.0) / 3.0;
    expected[i] *= kept + (1.0 - kept) / 8.0;
  }
  for (std::size_t i = 35; i < 64; ++i) expected[i] /= 8.0;
  // By hand for i = 32: f = 500000^-½ = 1.414214e-3, 8192·f/2π = 1.843849 turns, kept 0.281283, f·0.371123.
  EXPECT_NEAR(expected[32], 5.24847e-4, 1e-9);
  expect_frequencies(make_rope_table(model, 200), expected);
}

// Eight dimensions, theta 10,000, factor 4, 64 positions. The dimension that turns r times within them is
// 8·ln(64/2πr)/(2·ln 10000): −0.50 for r = 32, hence 0, and 1.008 for r = 1, hence 2. So the ramp from kept to
// stretched is 0, ½, 1, 1, and cos and sin grow by 0.1·ln 4 + 1.
TEST(RopeTable, RampsForYarn) {
  Model model = model_of(8, 10000.0);
  model.rope.kind = RopeKind::kYarn;
  model.rope.factor = 4.0;
  model.rope.original_max_positions = 64;
  const RopeTable table = make_rope_table(model, 256);
  EXPECT_NEAR(table.attention_scale, 1.138629436, 1e-9);
  expect_frequencies(table, {1.0, 0.0625, 0.0025, 0.00025}, 1.138629436111989);

  model.rope.attention_factor = 1.5;
  EXPECT_EQ(make_rope_table(model, 1).attention_scale, 1.5);
  // Without rounding the ramp ends at 1.0080 instead of 2, so dimension 1 is stretched but for 0.8 %.
  model.rope.truncate = false;
  const double end = 8.0 * std::log(64.0 / (2.0 * 3.14159265358979323846)) / (2.0 * std::log(10000.0));
  const double ramp = 1.0 / end;
  expect_frequencies(make_rope_table(model, 64), {1.0, 0.1 * (ramp / 4.0 + 1.0 - ramp), 0.0025, 0.00025}, 1.5);
}

// DeepSeek gives both mscales: the cache is scaled by their ratio only.
TEST(RopeTable, TakesTheRatioOfYarnMscales) {
  Model model = model_of(8, 10000.0);
  model.rope.kind = RopeKind::kYarn;
  model.rope.factor = 40.0;
  model.rope.original_max_positions = 4096;
  model.rope.mscale = 1.0;
  model.rope.mscale_all_dim = 1.0;
  EXPECT_EQ(make_rope_table(model, 1).attention_scale, 1.0);
  model.rope.mscale_all_dim = 0.5;
  // (0.1·ln 40 + 1) / (0.05·ln 40 + 1) = 1.368888 / 1.184444.
  EXPECT_NEAR(make_rope_table(model, 1).attention_scale, 1.155722, 1e-6);
}

TEST(RopeTable, RefusesDynamicScalingBeyondTheTrainedContext) {
  Model model = model_of(8, 10000.0);
  model.rope.kind = RopeKind::kDynamic;
  model.rope.factor = 2.0;
  model.rope.original_max_positions = 128;
  expect_frequencies(make_rope_table(model, 128), plain_frequencies(model));
  try {
    (void)make_rope_table(model, 129);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), ::testing::AllOf(::testing::HasSubstr("dynamic"), ::testing::HasSubstr("129"),
                                               ::testing::HasSubstr("128 trained")));
  }
}

}  // namespace
}  // namespace lindos::exec
