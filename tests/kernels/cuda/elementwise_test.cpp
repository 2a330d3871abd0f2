// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/elementwise.h"

#include <cmath>

#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

class ElementwiseTest : public ElementTest {};
LINDOS_FOR_BOTH_ELEMENTS(ElementwiseTest);

TEST_P(ElementwiseTest, SanitizeEmbeddingTakesRowsOfTheTable) {
  const Element element = GetParam();
  constexpr std::size_t kWidth = 584;
  const std::vector<float> table = random_values(element, 100 * kWidth, 1);
  const DeviceNumbers device_table(element, table);
  const std::vector<int> ids = {99, 0, 7, 7};
  const Device<int> device_ids(ids);
  const DeviceNumbers out(element, ids.size() * kWidth);
  embedding(device_table.get(), device_ids.get(), 4, kWidth, out.get(), {stream_, false});
  finish();
  const std::vector<float> values = out.read();
  for (std::size_t r = 0; r < ids.size(); ++r) {
    for (std::size_t i = 0; i < kWidth; ++i) ASSERT_EQ(values[r * kWidth + i], table[static_cast<std::size_t>(ids[r]) * kWidth + i]);
  }
}

TEST_P(ElementwiseTest, SanitizeRmsnormEqualsTheReference) {
  const Element element = GetParam();
  for (const std::size_t width : {8U, 576U, 4096U, 16384U}) {
    const std::vector<float> x = random_values(element, 5 * width, 1);
    const std::vector<float> weight = random_values(element, width, 2);
    const DeviceNumbers device_x(element, x), device_weight(element, weight);
    const std::vector<int> rows = {4, 0, 4};
    const Device<int> device_rows(rows);
    const DeviceNumbers y(element, rows.size() * width);
    rmsnorm(element, device_x.get(), device_rows.get(), device_weight.get(), 1e-5F, 3, static_cast<std::int64_t>(width), y.get(), {stream_, true});
    finish();
    std::vector<double> reference;
    for (const int r : rows) {
      double squares = 0.0;
      for (std::size_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(x[static_cast<std::size_t>(r) * width + i]), 2);
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(width) + 1e-5);
      for (std::size_t i = 0; i < width; ++i) {
        reference.push_back(static_cast<double>(x[static_cast<std::size_t>(r) * width + i]) * scale * static_cast<double>(weight[i]));
      }
    }
    EXPECT_LT(relative_error(y.read(), reference), error_of(element)) << "width " << width;
  }
}

TEST_P(ElementwiseTest, SanitizeSwigluEqualsTheReference) {
  const Element element = GetParam();
  constexpr std::size_t kF = 1544;
  constexpr std::size_t kRows = 3;
  const std::vector<float> in = random_values(element, kRows * 2 * kF, 1, 3.0F);
  const DeviceNumbers device_in(element, in);
  const DeviceNumbers out(element, kRows * kF);
  swiglu(element, device_in.get(), kRows, kF, out.get(), {stream_, false});
  finish();
  std::vector<double> reference;
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < kF; ++i) {
      const auto gate = static_cast<double>(in[r * 2 * kF + i]);
      reference.push_back(gate / (1.0 + std::exp(-gate)) * static_cast<double>(in[r * 2 * kF + kF + i]));
    }
  }
  EXPECT_LT(relative_error(out.read(), reference), error_of(element));
}

TEST_P(ElementwiseTest, SanitizeABiasIsAddedToEachRow) {
  const Element element = GetParam();
  constexpr std::size_t kWidth = 320;
  constexpr std::size_t kRows = 4;
  const std::vector<float> start = random_values(element, kRows * kWidth, 1);
  const std::vector<float> bias = random_values(element, kWidth, 4);
  const DeviceNumbers y(element, start), device_bias(element, bias);
  bias_add(element, y.get(), device_bias.get(), kRows, kWidth, {stream_, false});
  finish();
  const std::vector<float> out = y.read();
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], rounded(element, bias[i % kWidth] + start[i])) << i;
}

// The host's values (exec/checkpoint/synthetic.cpp), rounded: none may differ, whatever the scale.
TEST_P(ElementwiseTest, SanitizeSyntheticNumbersAreThoseOfTheirPlace) {
  const Element element = GetParam();
  const auto mix = [](std::uint64_t z) {
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  };
  constexpr std::int64_t kRows = 37, kCols = 53, kLength = 101;
  for (const float scale : {3e-7F, 1e-5F, 0.25F, 1.0F}) {   // down to subnormal halves, up to infinite ones
    const DeviceNumbers out(element, kRows * kCols);
    fill_synthetic(element, out.get(), 77, scale, 5, kRows, kLength, 11, kCols, {stream_, false});
    finish();
    const std::vector<float> values = out.read();
    for (std::int64_t r = 0; r < kRows; ++r) {
      for (std::int64_t c = 0; c < kCols; ++c) {
        const auto place = static_cast<std::uint64_t>((5 + r) * kLength + 11 + c);
        const std::uint64_t bits = mix(77 + place * 0x9e3779b97f4a7c15U);
        const auto sum = static_cast<int>((bits & 0xffffU) + ((bits >> 16U) & 0xffffU) + ((bits >> 32U) & 0xffffU) + (bits >> 48U)) - 2 * 65535;
        ASSERT_EQ(values[static_cast<std::size_t>(r * kCols + c)], rounded(element, static_cast<float>(sum) * scale)) << r << ' ' << c;
      }
    }
  }
}

// Beyond the largest f16 sums become infinite and are not cut, so that the check of logits can find them.
TEST_P(ElementwiseTest, SanitizeSumsBeyondTheLargestNumberAreInfinite) {
  const Element element = GetParam();
  const DeviceNumbers y(element, std::vector<float>(8, 60000.0F)), bias(element, std::vector<float>(8, 30000.0F));
  bias_add(element, y.get(), bias.get(), 1, 8, {stream_, false});
  finish();
  for (const float v : y.read()) EXPECT_EQ(std::isinf(v), element == Element::kF16);
}

TEST_F(CudaTest, SanitizeArgmaxTakesTheLowestOfEqualsAndSaysNan) {
  constexpr std::size_t kN = 5003;
  std::vector<float> logits = random_values(Element::kBf16, 4 * kN, 1);
  logits[0 * kN + 4000] = 50.0F;
  logits[0 * kN + 17] = 50.0F;
  logits[1 * kN + kN - 1] = 60.0F;
  logits[2 * kN + 1234] = NAN;
  logits[3 * kN + 0] = 70.0F;
  const Device<float> device_logits(logits);
  Device<unsigned> tickets(4);
  tickets.zero();
  const Device<Best> parts(4 * kArgmaxParts);
  const Device<Best> out(4);
  for (int i = 0; i < 3; ++i) argmax(device_logits.get(), 4, kN, 1000, out.get(), {tickets.get(), parts.get()}, {stream_, i > 0});
  finish();
  const std::vector<Best> best = out.read();
  EXPECT_EQ(best[0].id, 1017);
  EXPECT_EQ(best[0].logit, 50.0F);
  EXPECT_EQ(best[1].id, 1000 + static_cast<int>(kN) - 1);
  EXPECT_TRUE(std::isnan(best[2].logit));
  EXPECT_EQ(best[3].id, 1000);
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
