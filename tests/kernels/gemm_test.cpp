// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/bf16.h"
#include "kernels/cpu/table.h"
#include "kernels/elementwise.h"
#include "kernels/reference/gemm.h"
#include "tests/kernels/fill.h"

namespace lindos::kernels {
namespace {

using test::as_stored;
using test::Guarded;
using test::normal_floats;

// 64-byte aligned copy of packed weights, as the engine holds them.
class Packed {
 public:
  Packed(WeightType type, std::int64_t n, std::int64_t k, const std::vector<float>& w)
      : bytes_(packed_bytes(type, n, k) + 64, 0xff), view_{nullptr, type, n, k} {
    auto address = reinterpret_cast<std::uintptr_t>(bytes_.data());
    address = (address + 63) / 64 * 64;
    auto* data = reinterpret_cast<void*>(address);
    pack_weights(type, n, k, 0, n, w.data(), data);
    view_.data = data;
  }
  [[nodiscard]] const PackedWeights& view() const { return view_; }

 private:
  std::vector<unsigned char> bytes_;
  PackedWeights view_;
};

constexpr std::array kTypes{WeightType::kF32, WeightType::kBf16, WeightType::kF16};

struct Shape {
  std::int64_t m, n, k;
};

class GemmShapes : public testing::TestWithParam<Shape> {};

TEST_P(GemmShapes, AgreesWithTheReferenceAndWritesEachOutputOnce) {
  const auto [m, n, k] = GetParam();
  const auto w = normal_floats(n * k, 1);
  const auto x = normal_floats(m * (k + 5), 2);
  for (const WeightType type : kTypes) {
    const Packed packed(type, n, k, w);
    std::vector<double> expected(static_cast<std::size_t>(m * n));
    // The reference gets both operands as the product takes them, so bf16 is held to the tolerance of f32.
    reference::gemm(as_stored(type, w).data(), n, k, as_stored(type, x).data(), k + 5, m, expected.data());
    for (const int threads : {1, 3}) {
      CpuPool pool(threads);
      Guarded y(m, n);
      gemm(pool, packed.view(), x.data(), k + 5, m, y.data(), y.stride(), false);
      EXPECT_TRUE(y.intact()) << m << "x" << n << "x" << k;
      EXPECT_LT(y.distance(expected), 1e-5) << m << "x" << n << "x" << k;
      // Accumulating onto the result doubles it, exactly: y + sum rounds nothing when y == sum.
      Guarded twice = y;
      gemm(pool, packed.view(), x.data(), k + 5, m, twice.data(), twice.stride(), true);
      EXPECT_TRUE(twice.intact());
      for (std::int64_t i = 0; i < m; ++i) {
        for (std::int64_t j = 0; j < n; ++j) ASSERT_EQ(twice.at(i, j), 2.0F * y.at(i, j));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ragged, GemmShapes,
                         testing::Values(Shape{1, 1, 1}, Shape{1, 17, 99}, Shape{2, 16, 7}, Shape{3, 99, 577},
                                         Shape{5, 33, 1}, Shape{6, 64, 385}, Shape{7, 577, 17}, Shape{8, 7, 768},
                                         Shape{17, 99, 577}, Shape{99, 17, 7}, Shape{121, 50, 385},
                                         Shape{125, 1100, 400}, Shape{300, 20, 1153}));

// Runs one instruction set directly on all rows and panels.
std::vector<float> run_table(const KernelTable& table, const PackedWeights& w, const std::vector<float>& x,
                             std::int64_t m) {
  std::vector<float> y(static_cast<std::size_t>(m * w.n));
  GemmPart part;
  part.weights = w.data;
  part.n = w.n;
  part.k = w.k;
  part.panel_end = (w.n + 15) / 16;
  part.x = x.data();
  part.ldx = w.k;
  part.rows = m;
  part.y = y.data();
  part.ldy = w.n;
  part.scratch = thread_scratch(ScratchSlot::kGemm, gemm_scratch(m, table.small_rows, w.k));
  table.gemm(w.type)(part);
  return y;
}

TEST(Gemm, EveryInstructionSetOfThisCpuAgreesAndIsIndependentOfTheBatch) {
  constexpr std::int64_t kN = 50, kK = 401, kM = 131;
  const auto w = normal_floats(kN * kK, 3);
  const auto x = normal_floats(kM * kK, 4);
  for (const WeightType type : kTypes) {
    const Packed packed(type, kN, kK, w);
    std::vector<double> expected(static_cast<std::size_t>(kM * kN));
    reference::gemm(as_stored(type, w).data(), kN, kK, as_stored(type, x).data(), kK, kM, expected.data());
    for (const KernelTable* table : runnable_kernel_tables()) {
      const auto all = run_table(*table, packed.view(), x, kM);
      for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_NEAR(static_cast<double>(all[i]), expected[i], 2e-4) << table->name;
      }
      for (const std::int64_t m : {1, 2, 3, 4, 5, 6, 7, 13, 24}) {
        const auto few = run_table(*table, packed.view(), x, m);
        EXPECT_EQ(std::memcmp(few.data(), all.data(), few.size() * sizeof(float)), 0) << table->name << " m " << m;
      }
    }
  }
}

// Fused products of the same numbers in the same order: the CPU that answers does not show in the bits.
TEST(Gemm, InstructionSetsWithFusedProductsGiveEqualBits) {
  constexpr std::int64_t kN = 50, kK = 801, kM = 20;
  const auto w = normal_floats(kN * kK, 10);
  const auto x = normal_floats(kM * kK, 11);
  const auto& tables = runnable_kernel_tables();
  if (tables.size() < 3) GTEST_SKIP() << "this CPU has one fused instruction set at most";
  for (const WeightType type : kTypes) {
    const Packed packed(type, kN, kK, w);
    const auto expected = run_table(*tables[1], packed.view(), x, kM);
    for (std::size_t i = 2; i < tables.size(); ++i) {
      const auto got = run_table(*tables[i], packed.view(), x, kM);
      EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << tables[i]->name;
    }
  }
}

// Products of f16 are exact in f32, so whether they are fused shows nowhere. Operands: whatever f16 holds, subnormal ones
// too, and what rounds to its edges.
TEST(Gemm, F16GivesEqualBitsOnEveryInstructionSet) {
  constexpr std::int64_t kN = 33, kK = 2051, kM = 13;
  auto w = normal_floats(kN * kK, 12);
  auto x = normal_floats(kM * kK, 13);
  for (std::size_t i = 0; i < w.size(); i += 3) w[i] *= 0x1p-15F;
  for (std::size_t i = 0; i < x.size(); i += 5) x[i] *= i % 2 == 0 ? 0x1p-20F : 0x1p+10F;
  for (std::size_t i = 0; i < 256; ++i) x[i] = std::ldexp(1.0F + static_cast<float>(i) * 0x1p-13F, static_cast<int>(i % 41) - 25);
  x[0] = 65519.0F;   // rounds down to the largest
  const Packed packed(WeightType::kF16, kN, kK, w);
  const auto& tables = runnable_kernel_tables();
  const auto expected = run_table(*tables[0], packed.view(), x, kM);
  std::vector<double> reference(static_cast<std::size_t>(kM * kN));
  reference::gemm(as_stored(WeightType::kF16, w).data(), kN, kK, as_stored(WeightType::kF16, x).data(), kK, kM, reference.data());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(static_cast<double>(expected[i]), reference[i], 1e-5 * (std::abs(reference[i]) + 1e4)) << i;
  }
  for (const KernelTable* table : tables) {
    const auto got = run_table(*table, packed.view(), x, kM);
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0) << table->name;
  }
}

// Activations beyond the largest f16 become infinite, as on a GPU, and are not cut.
TEST(Gemm, WhatF16CannotHoldIsInfinite) {
  constexpr std::int64_t kN = 16, kK = 9;
  const Packed packed(WeightType::kF16, kN, kK, std::vector<float>(kN * kK, 1.0F));
  std::vector<float> x(2 * kK, 0.0F);
  x[3] = 65520.0F;
  x[kK + 3] = -65519.9F;
  for (const KernelTable* table : runnable_kernel_tables()) {
    const auto y = run_table(*table, packed.view(), x, 2);
    EXPECT_EQ(y[0], std::numeric_limits<float>::infinity()) << table->name;
    EXPECT_EQ(y[kN], -65504.0F) << table->name;
  }
}

// A NaN or an infinity of the activations must reach the output, and must not leak into other rows.
TEST(Gemm, NotANumberAndInfinityStayInTheirRow) {
  constexpr std::int64_t kN = 16, kK = 33, kM = 8;
  const auto w = std::vector<float>(kN * kK, 1.0F);
  std::vector<float> x(kM * kK, 1.0F);
  x[2 * kK + 32] = std::numeric_limits<float>::quiet_NaN();
  x[5 * kK + 7] = std::numeric_limits<float>::infinity();
  for (const WeightType type : kTypes) {
    const Packed packed(type, kN, kK, w);
    for (const KernelTable* table : runnable_kernel_tables()) {
      const auto y = run_table(*table, packed.view(), x, kM);
      for (std::int64_t r = 0; r < kM; ++r) {
        for (std::int64_t j = 0; j < kN; ++j) {
          const float got = y[static_cast<std::size_t>(r * kN + j)];
          if (r == 2) {
            EXPECT_TRUE(std::isnan(got)) << table->name;
          } else {
            EXPECT_EQ(got, r == 5 ? std::numeric_limits<float>::infinity() : 33.0F) << table->name;
          }
        }
      }
    }
  }
}

// The contract on which equal tokens for any batch, thread count and tensor split rest.
RC_GTEST_PROP(Gemm, ARowHasTheSameBitsAloneAndInAnyBatchForAnyThreads, ()) {
  const auto m = *rc::gen::inRange<std::int64_t>(1, 40);
  const auto n = *rc::gen::inRange<std::int64_t>(1, 80);
  const auto k = *rc::gen::inRange<std::int64_t>(1, 900);
  const auto row = *rc::gen::inRange<std::int64_t>(0, m);
  const int threads = *rc::gen::inRange(1, 5);
  const auto type = *rc::gen::elementOf(kTypes);
  const bool accumulate = *rc::gen::arbitrary<bool>();
  const auto w = normal_floats(n * k, 5);
  const auto x = normal_floats(m * k, 6);
  const auto start = normal_floats(m * n, 7);
  const Packed packed(type, n, k, w);
  CpuPool one(1);
  CpuPool many(threads);
  std::vector<float> batch = start;
  std::vector<float> alone(start.begin() + row * n, start.begin() + (row + 1) * n);
  gemm(many, packed.view(), x.data(), k, m, batch.data(), n, accumulate);
  gemm(one, packed.view(), x.data() + row * k, k, 1, alone.data(), n, accumulate);
  RC_ASSERT(std::memcmp(batch.data() + row * n, alone.data(), alone.size() * sizeof(float)) == 0);
}

TEST(Gemm, EmptyShapes) {
  CpuPool pool(2);
  const std::vector<float> x(64, 1.0F);
  float y[3] = {1.0F, 2.0F, 3.0F};
  gemm(pool, {nullptr, WeightType::kF32, 3, 4}, x.data(), 4, 0, y, 3, false);
  gemm(pool, {nullptr, WeightType::kF32, 0, 4}, x.data(), 4, 1, y, 3, false);
  EXPECT_EQ(y[0], 1.0F);
  // No terms: the sum is zero (or leaves y as it is), for few rows and for many.
  gemm(pool, {x.data(), WeightType::kF32, 3, 0}, x.data(), 0, 1, y, 3, true);
  EXPECT_EQ(y[2], 3.0F);
  std::vector<float> many(30, 5.0F);
  gemm(pool, {x.data(), WeightType::kF32, 3, 0}, x.data(), 0, 10, many.data(), 3, false);
  EXPECT_EQ(std::count(many.begin(), many.end(), 0.0F), 30);
}

TEST(PackWeights, PiecesGiveTheSameBytesAsTheWhole) {
  constexpr std::int64_t kN = 37, kK = 9;
  const auto w = normal_floats(kN * kK, 8);
  for (const WeightType type : kTypes) {
    std::vector<unsigned char> whole(packed_bytes(type, kN, kK), 0xee);
    std::vector<unsigned char> pieces(whole.size(), 0xee);
    pack_weights(type, kN, kK, 0, kN, w.data(), whole.data());
    pack_weights(type, kN, kK, 0, 16, w.data(), pieces.data());
    pack_weights(type, kN, kK, 16, kN - 16, w.data() + 16 * kK, pieces.data());
    EXPECT_EQ(whole, pieces);
  }
  EXPECT_EQ(packed_bytes(WeightType::kF32, 37, 9), 48U * 9U * 4U);
  EXPECT_EQ(packed_bytes(WeightType::kBf16, 37, 9), 48U * 10U * 2U);
  EXPECT_EQ(packed_bytes(WeightType::kF16, 37, 9), 48U * 10U * 2U);
}

TEST(Bf16, RoundsToNearestEvenAndKeepsNan) {
  EXPECT_EQ(to_bf16(1.0F), 0x3f80);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808000U)), 0x3f80);  // half way: to even
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f818000U)), 0x3f82);
  EXPECT_EQ(to_bf16(std::bit_cast<float>(0x3f808001U)), 0x3f81);
  EXPECT_EQ(to_bf16(std::numeric_limits<float>::max()), 0x7f80);  // above the largest bf16: infinity
  EXPECT_TRUE(std::isnan(from_bf16(to_bf16(std::bit_cast<float>(0x7f800001U)))));
}

TEST(Embedding, ReadsRowsOutOfPanels) {
  constexpr std::int64_t kN = 53, kK = 21;
  const auto w = normal_floats(kN * kK, 9);
  const std::vector<std::int32_t> ids{0, 7, 8, 15, 16, 52, 31, 7};
  for (const WeightType type : kTypes) {
    const Packed packed(type, kN, kK, w);
    const auto stored = as_stored(type, w);
    CpuPool pool(2);
    const auto m = static_cast<std::int64_t>(ids.size());
    Guarded out(m, kK);
    embedding(pool, packed.view(), ids.data(), m, out.data(), out.stride());
    EXPECT_TRUE(out.intact());
    for (std::int64_t i = 0; i < m; ++i) {
      for (std::int64_t j = 0; j < kK; ++j) {
        ASSERT_EQ(out.at(i, j), stored[static_cast<std::size_t>(ids[static_cast<std::size_t>(i)] * kK + j)]);
      }
    }
  }
}

}  // namespace
}  // namespace lindos::kernels
