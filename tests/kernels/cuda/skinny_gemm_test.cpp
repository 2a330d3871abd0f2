// SPDX-License-Identifier: Apache-2.0
#include "kernels/cuda/skinny_gemm.h"

#include <cmath>

#include "tests/kernels/cuda/device_fixture.h"

namespace lindos::kernels::cuda::test {

namespace {

struct Case {
  int m;
  std::int64_t n, k;
};

std::vector<double> product(const std::vector<float>& x, const std::vector<float>& w, int m, std::int64_t n, std::int64_t k) {
  std::vector<double> y(static_cast<std::size_t>(m * n));
  for (int i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      double sum = 0.0;
      for (std::int64_t l = 0; l < k; ++l) {
        sum += static_cast<double>(x[static_cast<std::size_t>(i * k + l)]) * static_cast<double>(w[static_cast<std::size_t>(j * k + l)]);
      }
      y[static_cast<std::size_t>(i * n + j)] = sum;
    }
  }
  return y;
}

std::vector<float> normalised(Element element, const std::vector<float>& x, const std::vector<float>& norm, int m, std::int64_t k, float eps) {
  std::vector<float> y(x.size());
  for (int i = 0; i < m; ++i) {
    double squares = 0.0;
    for (std::int64_t l = 0; l < k; ++l) squares += std::pow(static_cast<double>(x[static_cast<std::size_t>(i * k + l)]), 2);
    const double scale = 1.0 / std::sqrt(squares / static_cast<double>(k) + static_cast<double>(eps));
    for (std::int64_t l = 0; l < k; ++l) {
      const auto at = static_cast<std::size_t>(i * k + l);
      y[at] = static_cast<float>(static_cast<double>(x[at]) * scale * static_cast<double>(norm[static_cast<std::size_t>(l)]));
    }
  }
  return rounded(element, y);
}

class SkinnyGemmTest : public ElementTest {
 protected:
  void check(const Case& c) {
    const Element element = GetParam();
    SCOPED_TRACE(::testing::Message() << "m " << c.m << " n " << c.n << " k " << c.k);
    const auto m = static_cast<std::size_t>(c.m);
    const auto n = static_cast<std::size_t>(c.n);
    const auto k = static_cast<std::size_t>(c.k);
    const std::vector<float> w = random_values(element, n * k, 1, 1.0F / std::sqrt(static_cast<float>(k)));
    const std::vector<float> up = random_values(element, n * k, 2, 1.0F / std::sqrt(static_cast<float>(k)));
    const std::vector<float> x = random_values(element, m * k, 3);
    const std::vector<float> norm = random_values(element, k, 4);
    const std::vector<float> bias = random_values(element, n, 5);
    const std::vector<float> start = random_values(element, m * n, 6);
    const DeviceNumbers device_w(element, w), device_up(element, up), device_x(element, x), device_norm(element, norm), device_bias(element, bias);
    SkinnyGemm g;
    g.element = element;
    g.weights = device_w.get();
    g.n = c.n;
    g.k = c.k;
    g.x = device_x.get();
    g.ldx = c.k;
    g.m = c.m;
    g.ldy = c.n;
    const std::vector<double> plain = product(x, w, c.m, c.n, c.k);
    for (const bool dependent : {false, true}) {
      const Launch launch{stream_, dependent};
      {
        Device<float> y(m * n);
        SkinnyGemm logits = g;
        logits.y = y.get();
        logits.output = SkinnyOutput::kLogits;
        skinny_gemm(logits, launch);
        finish();
        EXPECT_LT(relative_error(y.read(), plain), kF32Error);
      }
      {
        const DeviceNumbers y(element, start);
        SkinnyGemm add = g;
        add.y = y.get();
        add.bias = device_bias.get();
        add.output = SkinnyOutput::kAdd;
        add.prefetch = true;
        skinny_gemm(add, launch);
        finish();
        std::vector<double> reference = plain;
        for (std::size_t i = 0; i < reference.size(); ++i) {
          reference[i] += static_cast<double>(start[i]) + static_cast<double>(bias[i % n]);
        }
        EXPECT_LT(relative_error(y.read(), reference), error_of(element));
      }
      const std::vector<float> xn = normalised(element, x, norm, c.m, c.k, 1e-5F);
      const std::vector<double> gate = product(xn, w, c.m, c.n, c.k);
      {
        const DeviceNumbers y(element, m * n);
        SkinnyGemm store = g;
        store.norm = device_norm.get();
        store.eps = 1e-5F;
        store.y = y.get();
        skinny_gemm(store, launch);
        finish();
        EXPECT_LT(relative_error(y.read(), gate), error_of(element));
      }
      {
        const DeviceNumbers y(element, m * n);
        SkinnyGemm swiglu = g;
        swiglu.up = device_up.get();
        swiglu.norm = device_norm.get();
        swiglu.eps = 1e-5F;
        swiglu.bias = device_bias.get();
        swiglu.up_bias = device_bias.get();
        swiglu.y = y.get();
        swiglu.output = SkinnyOutput::kSwiglu;
        skinny_gemm(swiglu, launch);
        finish();
        std::vector<double> reference = product(xn, up, c.m, c.n, c.k);
        for (std::size_t i = 0; i < reference.size(); ++i) {
          const double a = gate[i] + static_cast<double>(bias[i % n]);
          reference[i] = a / (1.0 + std::exp(-a)) * (reference[i] + static_cast<double>(bias[i % n]));
        }
        EXPECT_LT(relative_error(y.read(), reference), error_of(element));
      }
    }
  }
};

LINDOS_FOR_BOTH_ELEMENTS(SkinnyGemmTest);

// Whole and broken tiles and chunks, fewer tiles than blocks, more; rings of every depth.
TEST_P(SkinnyGemmTest, EqualsTheReference) {
  for (const Case& c : {Case{1, 16, 32}, Case{1, 576, 576}, Case{2, 960, 576}, Case{3, 577, 1536}, Case{8, 4096, 512}, Case{1, 6144, 4096},
                        Case{4, 2200, 4096}, Case{4, 100, 14336}, Case{2, 256, 14336}, Case{7, 33, 1056}}) {
    check(c);
  }
}

// Beside FP8 weights activations are bf16.
TEST_F(CudaTest, SanitizeFp8WeightsEqualTheReference) {
  constexpr Element element = Element::kBf16;
  for (const Case& c : {Case{1, 16, 32}, Case{3, 40, 608}, Case{8, 2200, 544}, Case{1, 577, 1536}, Case{2, 100, 4096}}) {
    SCOPED_TRACE(::testing::Message() << "m " << c.m << " n " << c.n << " k " << c.k);
    const auto m = static_cast<std::size_t>(c.m);
    const auto n = static_cast<std::size_t>(c.n);
    const auto k = static_cast<std::size_t>(c.k);
    const Fp8Matrix w = random_fp8(n, k, 1);
    const Fp8Matrix up = random_fp8(n, k, 2);
    // Some of x small, as behind a norm with small weights.
    std::vector<float> x = random_values(element, m * k, 3);
    for (std::size_t i = 0; i < x.size(); i += 3) x[i] *= 0x1p-20F;
    const std::vector<float> norm = random_values(element, k, 4);
    const Device<std::uint8_t> codes(w.codes), up_codes(up.codes);
    const Device<float> scales(w.scales), up_scales(up.scales);
    const DeviceNumbers device_x(element, x), device_norm(element, norm);
    SkinnyGemm g;
    g.weights = codes.get();
    g.scales = scales.get();
    g.n = c.n;
    g.k = c.k;
    g.x = device_x.get();
    g.ldx = c.k;
    g.m = c.m;
    g.ldy = c.n;
    {
      Device<float> y(m * n);
      SkinnyGemm logits = g;
      logits.y = y.get();
      logits.output = SkinnyOutput::kLogits;
      skinny_gemm(logits, {stream_, true});
      finish();
      EXPECT_LT(relative_error(y.read(), product(x, w.values, c.m, c.n, c.k)), kF32Error);
    }
    {
      const DeviceNumbers y(element, m * n);
      SkinnyGemm swiglu = g;
      swiglu.up = up_codes.get();
      swiglu.up_scales = up_scales.get();
      swiglu.norm = device_norm.get();
      swiglu.eps = 1e-5F;
      swiglu.y = y.get();
      swiglu.output = SkinnyOutput::kSwiglu;
      skinny_gemm(swiglu, {stream_, false});
      finish();
      const std::vector<float> xn = normalised(element, x, norm, c.m, c.k, 1e-5F);
      const std::vector<double> gate = product(xn, w.values, c.m, c.n, c.k);
      std::vector<double> reference = product(xn, up.values, c.m, c.n, c.k);
      for (std::size_t i = 0; i < reference.size(); ++i) reference[i] *= gate[i] / (1.0 + std::exp(-gate[i]));
      EXPECT_LT(relative_error(y.read(), reference), 2 * error_of(element));
    }
  }
}

TEST_F(CudaTest, RowsThatDoNotFitSharedMemoryAreRefused) {
  EXPECT_TRUE(skinny_fits(4, 14336));
  EXPECT_FALSE(skinny_fits(5, 14336));
  EXPECT_FALSE(skinny_fits(9, 4096));
  EXPECT_FALSE(skinny_fits(1, 4096 + 16));
}

TEST_P(SkinnyGemmTest, SanitizeSmall) {
  check({3, 40, 608});
  check({8, 2200, 544});
}

// More chunks per tile than stages, many tiles per block: every phase of every barrier, again and again.
TEST_P(SkinnyGemmTest, RepeatsBitForBit) {
  const Element element = GetParam();
  constexpr std::int64_t kN = 9000;
  constexpr std::int64_t kK = 5120;
  const DeviceNumbers w(element, random_values(element, kN * kK, 1, 0.02F));
  const DeviceNumbers x(element, random_values(element, 4 * kK, 2));
  std::vector<float> first;
  for (int i = 0; i < 20; ++i) {
    Device<float> y(4 * kN);
    SkinnyGemm g;
    g.element = element;
    g.weights = w.get();
    g.n = kN;
    g.k = kK;
    g.x = x.get();
    g.ldx = kK;
    g.m = 4;
    g.y = y.get();
    g.ldy = kN;
    g.output = SkinnyOutput::kLogits;
    for (int j = 0; j < 3; ++j) skinny_gemm(g, {stream_, true});
    finish();
    if (i == 0) first = y.read();
    EXPECT_EQ(y.read(), first);
  }
}

}  // namespace

}  // namespace lindos::kernels::cuda::test
