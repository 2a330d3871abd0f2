// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/elementwise.h"

#include <cmath>

#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

class ElementwiseTest : public CudaTest {};

TEST_F(ElementwiseTest, SanitizeEmbeddingTakesRowsOfTheTable) {
  constexpr std::size_t kWidth = 584;
  const std::vector<float> table = random_values(100 * kWidth, 1);
  const DeviceBf16 device_table(table);
  const std::vector<int> ids = {99, 0, 7, 7};
  const Device<int> device_ids(ids);
  const DeviceBf16 out(ids.size() * kWidth);
  embedding(device_table.get(), device_ids.get(), 4, kWidth, out.get(), {stream_, false});
  finish();
  const std::vector<float> values = out.read();
  for (std::size_t r = 0; r < ids.size(); ++r) {
    for (std::size_t i = 0; i < kWidth; ++i) ASSERT_EQ(values[r * kWidth + i], table[static_cast<std::size_t>(ids[r]) * kWidth + i]);
  }
}

TEST_F(ElementwiseTest, SanitizeRmsnormEqualsTheReference) {
  for (const std::size_t width : {8U, 576U, 4096U, 16384U}) {
    const std::vector<float> x = random_values(5 * width, 1);
    const std::vector<float> weight = random_values(width, 2);
    const DeviceBf16 device_x(x), device_weight(weight);
    const std::vector<int> rows = {4, 0, 4};
    const Device<int> device_rows(rows);
    const DeviceBf16 y(rows.size() * width);
    rmsnorm(device_x.get(), device_rows.get(), device_weight.get(), 1e-5F, 3, static_cast<std::int64_t>(width), y.get(), {stream_, true});
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
    EXPECT_LT(relative_error(y.read(), reference), kBf16Error) << "width " << width;
  }
}

TEST_F(ElementwiseTest, SanitizeSwigluEqualsTheReference) {
  constexpr std::size_t kF = 1544;
  constexpr std::size_t kRows = 3;
  const std::vector<float> in = random_values(kRows * 2 * kF, 1, 3.0F);
  const DeviceBf16 device_in(in);
  const DeviceBf16 out(kRows * kF);
  swiglu(device_in.get(), kRows, kF, out.get(), {stream_, false});
  finish();
  std::vector<double> reference;
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t i = 0; i < kF; ++i) {
      const auto gate = static_cast<double>(in[r * 2 * kF + i]);
      reference.push_back(gate / (1.0 + std::exp(-gate)) * static_cast<double>(in[r * 2 * kF + kF + i]));
    }
  }
  EXPECT_LT(relative_error(out.read(), reference), kBf16Error);
}

TEST_F(ElementwiseTest, SanitizeABiasIsAddedToEachRow) {
  constexpr std::size_t kWidth = 320;
  constexpr std::size_t kRows = 4;
  const std::vector<float> start = random_values(kRows * kWidth, 1);
  const std::vector<float> bias = random_values(kWidth, 4);
  const DeviceBf16 y(start), device_bias(bias);
  bias_add(y.get(), device_bias.get(), kRows, kWidth, {stream_, false});
  finish();
  const std::vector<float> out = y.read();
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_EQ(out[i], from_bf16(to_bf16(bias[i % kWidth] + start[i]))) << i;
}

TEST_F(ElementwiseTest, SanitizeArgmaxTakesTheLowestOfEqualsAndSaysNan) {
  constexpr std::size_t kN = 5003;
  std::vector<float> logits = random_values(4 * kN, 1);
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
