// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/quantise.h"

#include <algorithm>
#include <cmath>

#include "kernels/e4m3.h"
#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

class QuantiseTest : public CudaTest {
 protected:
  // v of the header, in double.
  static std::vector<double> values(const std::vector<float>& x, const std::vector<float>& norm, QuantiseInput input, std::size_t rows,
                                    std::size_t k) {
    std::vector<double> v(rows * k);
    for (std::size_t r = 0; r < rows; ++r) {
      double squares = 0.0;
      for (std::size_t i = 0; i < k; ++i) squares += std::pow(static_cast<double>(x[r * k + i]), 2);
      const double scale = 1.0 / std::sqrt(squares / static_cast<double>(k) + 1e-5);
      for (std::size_t i = 0; i < k; ++i) {
        switch (input) {
          case QuantiseInput::kPlain: v[r * k + i] = static_cast<double>(x[r * k + i]); break;
          case QuantiseInput::kNorm: v[r * k + i] = static_cast<double>(x[r * k + i]) * scale * static_cast<double>(norm[i]); break;
          case QuantiseInput::kSwiglu: {
            const auto gate = static_cast<double>(x[r * 2 * k + i]);
            v[r * k + i] = gate / (1.0 + std::exp(-gate)) * static_cast<double>(x[r * 2 * k + k + i]);
          }
        }
      }
    }
    return v;
  }

  void check(QuantiseInput input, std::size_t rows, std::size_t k) {
    SCOPED_TRACE(::testing::Message() << "input " << static_cast<int>(input) << " rows " << rows << " k " << k);
    std::vector<float> x = random_values(Element::kBf16, rows * k * (input == QuantiseInput::kSwiglu ? 2 : 1), 1);
    // A row of zeros and one of large numbers.
    if (rows > 2) std::fill_n(x.begin() + static_cast<std::ptrdiff_t>(k), k, 0.0F);
    for (std::size_t i = 0; i < k; ++i) x[i] *= 1024.0F;
    const std::vector<float> norm = random_values(Element::kBf16, k, 2);
    const std::vector<double> v = values(x, norm, input, rows, k);
    const DeviceNumbers device_x(Element::kBf16, x), device_norm(Element::kBf16, norm);
    const Device<std::uint8_t> y(rows * k);
    const Device<float> scales(rows);
    QuantiseRows q;
    q.x = device_x.get();
    q.rows = static_cast<std::int64_t>(rows);
    q.k = static_cast<std::int64_t>(k);
    q.input = input;
    q.norm = device_norm.get();
    q.eps = 1e-5F;
    q.y = y.get();
    q.scales = scales.get();
    quantise_rows(q, {stream_, false});
    finish();
    const std::vector<std::uint8_t> codes = y.read();
    const std::vector<float> factors = scales.read();
    for (std::size_t r = 0; r < rows; ++r) {
      double most = 0.0;
      for (std::size_t i = 0; i < k; ++i) most = std::max(most, std::abs(v[r * k + i]));
      if (most == 0.0) {
        EXPECT_EQ(factors[r], 1.0F);
      } else {
        EXPECT_NEAR(factors[r], most / 448.0, 1e-3 * most / 448.0);
      }
      double worst = 0.0;
      for (std::size_t i = 0; i < k; ++i) {
        const double back = static_cast<double>(from_e4m3(codes[r * k + i])) * static_cast<double>(factors[r]);
        // Half a step: 2^-4 of the number, 2^-10 of the scale below the least normal; and what exp and rsqrt round.
        const double allowed = std::abs(v[r * k + i]) * (0x1p-4 + 1e-3) + static_cast<double>(factors[r]) * 0x1p-10;
        worst = std::max(worst, std::abs(back - v[r * k + i]) - allowed);
      }
      EXPECT_LE(worst, 0.0) << "row " << r;
    }
  }
};

TEST_F(QuantiseTest, EveryValueIsWithinHalfAStep) {
  for (const QuantiseInput input : {QuantiseInput::kPlain, QuantiseInput::kNorm, QuantiseInput::kSwiglu}) {
    check(input, 5, 4096);
    check(input, 3, 14336);
    check(input, 1, 16);
  }
}

TEST_F(QuantiseTest, SanitizeSmall) { check(QuantiseInput::kNorm, 3, 576); }

TEST_F(QuantiseTest, NanReachesTheScale) {
  std::vector<float> x = random_values(Element::kBf16, 64, 1);
  x[37] = std::nanf("");
  const DeviceNumbers device_x(Element::kBf16, x);
  const Device<std::uint8_t> y(64);
  const Device<float> scales(1);
  QuantiseRows q;
  q.x = device_x.get();
  q.rows = 1;
  q.k = 64;
  q.y = y.get();
  q.scales = scales.get();
  quantise_rows(q, {stream_, false});
  finish();
  EXPECT_TRUE(std::isnan(scales.read().front()));
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
