// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "exec/checkpoint/checkpoint.h"
#include "kernels/bf16.h"
#include "kernels/f16.h"
#include "scenarios/error.h"

namespace lindos::exec {
namespace {

Model small_model() {
  Model model;
  model.name = "small";
  model.hidden = 72;
  model.layers = 2;
  model.q_heads = 9;
  model.kv_heads = 3;
  model.head_dim = 16;
  model.ffn = 100;
  model.vocab = 300;
  model.qkv_bias = true;
  return model;
}

std::vector<float> read_all(const Checkpoint& checkpoint, const std::string& name) {
  const TensorInfo& info = *checkpoint.find(name);
  const std::int64_t rows = info.shape.size() == 2 ? info.shape[0] : 1;
  std::vector<float> values(static_cast<std::size_t>(rows * info.shape.back()));
  checkpoint.read(name, 0, rows, 0, info.shape.back(), values);
  return values;
}

TEST(Synthetic, HasTheMomentsItStates) {
  const auto checkpoint = make_synthetic(small_model(), 1, Dtype::kF32);
  const std::vector<float> values =
      read_all(*checkpoint, "model.embed_tokens.weight");  // 21,600 values
  double sum = 0.0;
  double squares = 0.0;
  double largest = 0.0;
  for (const float value : values) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  const auto count = static_cast<double>(values.size());
  const double deviation = 1.0 / std::sqrt(72.0);
  EXPECT_NEAR(sum / count, 0.0, 4.0 * deviation / std::sqrt(count));  // four standard errors
  EXPECT_NEAR(std::sqrt(squares / count), deviation, 4.0 * deviation / std::sqrt(2.0 * count));
  EXPECT_LE(largest,
            deviation * 2.0 * std::sqrt(3.0) * 1.0001);  // four uniforms reach 2·√3 deviations
  EXPECT_GT(largest, deviation * 2.5);
}

// Golden: the first values for seed 1, in units of the last place. Derivation by the formulas of
// synthetic.cpp in Python's integers; any platform must reproduce them bit by bit.
TEST(Synthetic, KeepsItsValuesForEver) {
  const auto f32 = make_synthetic(small_model(), 1, Dtype::kF32);
  const std::vector<float> values = read_all(*f32, "model.layers.0.self_attn.q_proj.weight");
  EXPECT_EQ(std::vector<float>(values.begin(), values.begin() + 4),
            (std::vector<float>{0x1.e7f8b80000000p-3F, 0x1.e35db20000000p-6F,
                                -0x1.505d5e0000000p-3F, -0x1.3af6ac0000000p-4F}));
}

TEST(Synthetic, RoundsToTheStoredFormat) {
  const auto f32 = read_all(*make_synthetic(small_model(), 7, Dtype::kF32), "lm_head.weight");
  const auto bf16 = read_all(*make_synthetic(small_model(), 7, Dtype::kBf16), "lm_head.weight");
  const auto f16 = read_all(*make_synthetic(small_model(), 7, Dtype::kF16), "lm_head.weight");
  for (std::size_t i = 0; i < f32.size(); ++i) {
    ASSERT_EQ(bf16[i], kernels::from_bf16(kernels::to_bf16(f32[i])));
    ASSERT_EQ(f16[i], kernels::from_f16(kernels::to_f16(f32[i])));
  }
}

TEST(Synthetic, TreatsNormsAndBiasesApart) {
  const auto checkpoint = make_synthetic(small_model(), 1, Dtype::kBf16);
  EXPECT_THAT(read_all(*checkpoint, "model.layers.1.input_layernorm.weight"),
              ::testing::Each(1.0F));
  EXPECT_THAT(read_all(*checkpoint, "model.norm.weight"), ::testing::Each(1.0F));
  const auto bias = read_all(*checkpoint, "model.layers.1.self_attn.q_proj.bias");
  EXPECT_THAT(bias, ::testing::Each(::testing::AllOf(::testing::Ge(-0.07F), ::testing::Le(0.07F))));
  EXPECT_THAT(bias, ::testing::Contains(::testing::Not(0.0F)));
}

TEST(Synthetic, DependsOnSeedAndName) {
  const auto one = make_synthetic(small_model(), 1, Dtype::kF32);
  const auto two = make_synthetic(small_model(), 2, Dtype::kF32);
  const std::string name = "model.layers.0.mlp.gate_proj.weight";
  EXPECT_NE(read_all(*one, name), read_all(*two, name));
  EXPECT_NE(read_all(*one, name), read_all(*one, "model.layers.1.mlp.gate_proj.weight"));
  EXPECT_EQ(read_all(*one, name), read_all(*make_synthetic(small_model(), 1, Dtype::kF32), name));
  EXPECT_EQ(one->description(), "random:1");
  EXPECT_THROW((void)make_synthetic(small_model(), 1, Dtype::kFp8), Error);
}

RC_GTEST_PROP(Synthetic, EverySliceEqualsTheSliceOfTheWhole, ()) {
  static const auto checkpoint = make_synthetic(small_model(), 3, Dtype::kBf16);
  static const std::string name = "model.layers.1.mlp.down_proj.weight";  // [72, 100]
  static const std::vector<float> whole = read_all(*checkpoint, name);
  const auto row_begin = *rc::gen::inRange<std::int64_t>(0, 73);
  const auto row_end = *rc::gen::inRange<std::int64_t>(row_begin, 73);
  const auto col_begin = *rc::gen::inRange<std::int64_t>(0, 101);
  const auto col_end = *rc::gen::inRange<std::int64_t>(col_begin, 101);
  std::vector<float> slice(static_cast<std::size_t>((row_end - row_begin) * (col_end - col_begin)));
  checkpoint->read(name, row_begin, row_end, col_begin, col_end, slice);
  std::size_t i = 0;
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    for (std::int64_t col = col_begin; col < col_end; ++col) {
      RC_ASSERT(slice[i++] == whole[static_cast<std::size_t>(row * 100 + col)]);
    }
  }
}

}  // namespace
}  // namespace lindos::exec
