// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/share_products.h"

#include <functional>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

constexpr std::uint64_t kAllBits = std::numeric_limits<std::uint64_t>::max();
const ProductPlace kHere{"NVIDIA \"H200\"", 132, "cuBLASLt 130100"};
const TunedProduct kOne{kHere, {2048, 4096, 14336, false, true, Dtype::kF16}, {kAllBits, 2, 3, 4, 5, 6, 7, kAllBits - 1}};
const TunedProduct kTwo{{kHere.device, 40, kHere.library}, {1, 2, 3, true, false, Dtype::kFp8}, {9}};

// The same on each of three ranks, which are threads.
void on_three_ranks(const std::function<void(Communicator&)>& work) {
  std::vector<std::unique_ptr<Communicator>> world = make_thread_communicators(3);
  std::vector<std::thread> threads;
  for (const std::unique_ptr<Communicator>& rank : world) threads.emplace_back([&work, &rank] { work(*rank); });
  for (std::thread& thread : threads) thread.join();
}

TEST(ShareProducts, EveryRankKnowsWhatTheFirstOneKnows) {
  const auto first = std::make_shared<TunedProducts>(std::vector{kOne, kTwo});
  on_three_ranks([&](Communicator& world) {
    const std::shared_ptr<TunedProducts> mine = share_known(world.rank() == 0 ? first : nullptr, world);
    ASSERT_NE(mine, nullptr);
    EXPECT_EQ(mine == first, world.rank() == 0) << "a memory of its own";
    EXPECT_THAT(mine->known(), ::testing::UnorderedElementsAre(kOne, kTwo));
    EXPECT_TRUE(mine->take_found().empty()) << "known is not found";
  });
}

TEST(ShareProducts, WithoutAStoreNobodyRemembers) {
  const auto others = std::make_shared<TunedProducts>(std::vector{kOne});
  on_three_ranks([&](Communicator& world) { EXPECT_EQ(share_known(world.rank() == 0 ? nullptr : others, world), nullptr); });
  on_three_ranks([&](Communicator& world) {
    const auto mine = share_known(world.rank() == 0 ? std::make_shared<TunedProducts>() : nullptr, world);
    ASSERT_NE(mine, nullptr) << "an empty store is one";
    EXPECT_TRUE(mine->known().empty());
  });
}

TEST(ShareProducts, WhatRanksFindComesToTheFirstOne) {
  std::vector<TunedProducts> memories(3);
  memories[0].keep(kOne);
  memories[2].keep(kTwo);
  on_three_ranks([&](Communicator& world) { gather_found(memories[static_cast<std::size_t>(world.rank())], world); });
  EXPECT_THAT(memories[0].take_found(), ::testing::UnorderedElementsAre(kOne, kTwo));
  EXPECT_TRUE(memories[1].take_found().empty());
  EXPECT_TRUE(memories[2].take_found().empty()) << "handed over once";
}

}  // namespace
}  // namespace lindos::exec
