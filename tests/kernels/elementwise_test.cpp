// SPDX-License-Identifier: Apache-2.0
#include "kernels/elementwise.h"

#include <gtest/gtest.h>

#include "kernels/cpu/table.h"
#include "kernels/reference/elementwise.h"
#include "tests/kernels/fill.h"

namespace lindos::kernels {
namespace {

using test::Guarded;
using test::normal_floats;

class Widths : public testing::TestWithParam<std::int64_t> {
 protected:
  static constexpr std::int64_t kRows = 37;  // at 577 columns above the size that stays on one thread
};
INSTANTIATE_TEST_SUITE_P(Awkward, Widths, testing::Values(1, 7, 16, 17, 99, 577));

TEST_P(Widths, Rmsnorm) {
  const std::int64_t h = GetParam();
  const auto x = normal_floats(kRows * h, 1);
  const auto weight = normal_floats(h, 2);
  std::vector<double> expected(x.size());
  for (std::int64_t i = 0; i < kRows; ++i) {
    reference::rmsnorm(x.data() + i * h, weight.data(), 1e-5, h, expected.data() + i * h);
  }
  for (const int threads : {1, 3}) {
    CpuPool pool(threads);
    Guarded y(kRows, h);
    rmsnorm(pool, x.data(), h, weight.data(), 1e-5, kRows, h, y.data(), y.stride());
    EXPECT_TRUE(y.intact());
    EXPECT_LT(y.distance(expected), 1e-6);
    // In place and per head: same function, same bits.
    Guarded in_place(kRows, h);
    for (std::int64_t i = 0; i < kRows; ++i) {
      for (std::int64_t j = 0; j < h; ++j) in_place.at(i, j) = x[static_cast<std::size_t>(i * h + j)];
    }
    Guarded heads = in_place;
    rmsnorm(pool, in_place.data(), in_place.stride(), weight.data(), 1e-5, kRows, h, in_place.data(),
            in_place.stride());
    head_rmsnorm(pool, heads.data(), heads.stride(), weight.data(), 1e-5, kRows, 1, h);
    EXPECT_EQ(in_place.bits(), y.bits());
    EXPECT_EQ(heads.bits(), y.bits());
    EXPECT_TRUE(heads.intact());
  }
}

TEST(HeadRmsnorm, NormalisesEachHeadByItself) {
  constexpr std::int64_t kHeads = 3, kDim = 8;
  CpuPool pool(1);
  const auto weight = normal_floats(kDim, 3);
  auto x = normal_floats(kHeads * kDim, 4);
  std::vector<double> expected(x.size());
  for (std::int64_t h = 0; h < kHeads; ++h) {
    reference::rmsnorm(x.data() + h * kDim, weight.data(), 1e-6, kDim, expected.data() + h * kDim);
  }
  head_rmsnorm(pool, x.data(), kHeads * kDim, weight.data(), 1e-6, 1, kHeads, kDim);
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(static_cast<double>(x[i]), expected[i], 1e-6);
}

TEST_P(Widths, Swiglu) {
  const std::int64_t f = GetParam();
  auto gate_up = normal_floats(kRows * 2 * f, 5);
  gate_up[0] = -200.0F;  // e^200 overflows; silu tends to -0
  gate_up[static_cast<std::size_t>(2 * f)] = 200.0F;
  std::vector<double> expected(static_cast<std::size_t>(kRows * f));
  for (std::int64_t i = 0; i < kRows; ++i) {
    const float* gate = gate_up.data() + i * 2 * f;
    reference::swiglu(gate, gate + f, f, expected.data() + i * f);
  }
  for (const int threads : {1, 3}) {
    CpuPool pool(threads);
    Guarded y(kRows, f);
    swiglu(pool, gate_up.data(), 2 * f, kRows, f, y.data(), y.stride());
    EXPECT_TRUE(y.intact());
    EXPECT_LT(y.distance(expected), 1e-6);
  }
}

TEST_P(Widths, ResidualAndBiasAddExactly) {
  const std::int64_t h = GetParam();
  const auto x = normal_floats(kRows * h, 6);
  const auto y = normal_floats(kRows * h, 7);
  const auto bias = normal_floats(h, 8);
  CpuPool pool(3);
  Guarded plain(kRows, h);
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = 0; j < h; ++j) plain.at(i, j) = x[static_cast<std::size_t>(i * h + j)];
  }
  Guarded with_bias = plain;
  Guarded bias_only = plain;
  residual_add(pool, plain.data(), plain.stride(), y.data(), h, nullptr, kRows, h);
  residual_add(pool, with_bias.data(), with_bias.stride(), y.data(), h, bias.data(), kRows, h);
  bias_add(pool, bias_only.data(), bias_only.stride(), bias.data(), kRows, h);
  for (std::int64_t i = 0; i < kRows; ++i) {
    for (std::int64_t j = 0; j < h; ++j) {
      const auto at = static_cast<std::size_t>(i * h + j);
      const float b = bias[static_cast<std::size_t>(j)];
      ASSERT_EQ(plain.at(i, j), x[at] + y[at]);
      ASSERT_EQ(with_bias.at(i, j), x[at] + y[at] + b);
      ASSERT_EQ(bias_only.at(i, j), x[at] + b);
    }
  }
  EXPECT_TRUE(plain.intact() && with_bias.intact() && bias_only.intact());
}

TEST(Rope, RotatesHalvesByThePositionOfTheRow) {
  for (const std::int64_t d : {2, 8, 18, 64, 80}) {
    constexpr std::int64_t kHeads = 3, kPositions = 50, kRows = 41;
    const std::int64_t half = d / 2;
    std::vector<float> cos(static_cast<std::size_t>(kPositions * half));
    std::vector<float> sin(cos.size());
    for (std::size_t i = 0; i < cos.size(); ++i) {
      cos[i] = std::cos(static_cast<float>(i));
      sin[i] = std::sin(static_cast<float>(i));
    }
    const auto x = normal_floats(kRows * kHeads * d, 9);
    std::vector<std::int64_t> positions;
    std::vector<double> expected(x.size());
    Guarded y(kRows, kHeads * d);
    for (std::int64_t i = 0; i < kRows; ++i) {
      positions.push_back((i * 7) % kPositions);
      for (std::int64_t j = 0; j < kHeads * d; ++j) y.at(i, j) = x[static_cast<std::size_t>(i * kHeads * d + j)];
      for (std::int64_t h = 0; h < kHeads; ++h) {
        const std::int64_t at = (i * kHeads + h) * d;
        reference::rope(x.data() + at, d, cos.data() + positions.back() * half, sin.data() + positions.back() * half,
                        expected.data() + at);
      }
    }
    CpuPool pool(2);
    rope(pool, y.data(), y.stride(), kRows, kHeads, d, positions.data(), cos.data(), sin.data());
    EXPECT_TRUE(y.intact());
    EXPECT_LT(y.distance(expected), 1e-6);
  }
}

TEST(Elementwise, NoRows) {
  CpuPool pool(2);
  rmsnorm(pool, nullptr, 4, nullptr, 1e-5, 0, 4, nullptr, 4);
  swiglu(pool, nullptr, 8, 0, 4, nullptr, 4);
  residual_add(pool, nullptr, 4, nullptr, 4, nullptr, 0, 4);
  rope(pool, nullptr, 4, 0, 1, 4, nullptr, nullptr, nullptr);
}

}  // namespace
}  // namespace lindos::kernels
