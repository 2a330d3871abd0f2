// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/tuned_products.h"

#include <thread>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

const ProductPlace kHere{"NVIDIA H200", 132, "cuBLASLt 130100"};
const ProductShape kShape{128, 4096, 14336, false, true, Dtype::kBf16};

TEST(TunedProducts, ATimingHoldsForItsPlaceAndShapeAlone) {
  const TunedProducts memory({{kHere, kShape, {1, 2, 3}}});
  EXPECT_EQ(memory.find(kHere, kShape), (ProductAlgorithm{1, 2, 3}));
  for (const ProductPlace& place : {ProductPlace{"NVIDIA H100", 132, kHere.library}, ProductPlace{kHere.device, 80, kHere.library},
                                    ProductPlace{kHere.device, 132, "cuBLASLt 130200"}}) {
    EXPECT_EQ(memory.find(place, kShape), std::nullopt);
  }
  for (const ProductShape& shape : {ProductShape{64, 4096, 14336, false, true, Dtype::kBf16}, ProductShape{128, 4096, 14336, true, true, Dtype::kBf16},
                                    ProductShape{128, 4096, 14336, false, false, Dtype::kBf16}, ProductShape{128, 4096, 14336, false, true, Dtype::kF16},
                                    ProductShape{128, 4096, 14336, false, true, Dtype::kFp8}}) {
    EXPECT_EQ(memory.find(kHere, shape), std::nullopt);
  }
}

TEST(TunedProducts, WhatIsFoundIsKnownAtOnceAndHandedOverOnce) {
  TunedProducts memory({{kHere, kShape, {1}}});
  EXPECT_TRUE(memory.take_found().empty());  // known before
  const TunedProduct found{kHere, {1, 2, 3}, {7}};
  memory.keep(found);
  EXPECT_EQ(memory.find(kHere, found.shape), found.algorithm);
  EXPECT_EQ(memory.take_found(), std::vector{found});
  EXPECT_TRUE(memory.take_found().empty());
  EXPECT_EQ(memory.find(kHere, found.shape), found.algorithm);
}

TEST(TunedProducts, RanksFindSideBySide) {
  TunedProducts memory;
  constexpr std::int64_t kEach = 200;
  const auto rank = [&](std::int64_t first) {
    for (std::int64_t m = first; m < first + kEach; ++m) {
      memory.keep({kHere, {m, 8, 8}, {static_cast<std::uint64_t>(m)}});
      EXPECT_TRUE(memory.find(kHere, {m, 8, 8}));
    }
  };
  {
    const std::jthread other(rank, kEach);
    rank(0);
  }
  EXPECT_EQ(memory.take_found().size(), 2U * kEach);
}

}  // namespace
}  // namespace lindos::exec
