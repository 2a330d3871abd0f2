// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/deal_batch.h"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::sim {
namespace {

std::int64_t sum_of(const std::vector<DealtSet>& dealt) {
  std::int64_t sum = 0;
  for (const DealtSet& set : dealt) sum += set.replicas * set.micro_batches;
  return sum;
}

TEST(DealBatch, WhatFitsExactlyIsDealtAsItIs) {
  const auto dealt = deal_batch({{1171, 5, 1, 1.0}, {390, 5, 1, 1.0}, {156, 5, 1, 1.0}}, 8585);
  ASSERT_TRUE(dealt);
  ASSERT_EQ(dealt->size(), 3U);
  EXPECT_EQ((*dealt)[0].replicas, 1171);
  EXPECT_EQ((*dealt)[2].replicas, 156);
}

// 3 × 4 + 2 × 6 = 24 for 20: one replica of the first set goes. For 18: one of the second.
TEST(DealBatch, LeavesOutWhatIsTooMuch) {
  auto dealt = deal_batch({{3, 4, 1, 1.0}, {2, 6, 1, 1.0}}, 20);
  ASSERT_TRUE(dealt);
  EXPECT_EQ(dealt->front().replicas, 2);
  EXPECT_EQ(dealt->back().replicas, 2);
  dealt = deal_batch({{3, 4, 1, 1.0}, {2, 6, 1, 1.0}}, 18);
  ASSERT_TRUE(dealt);
  EXPECT_EQ(dealt->front().replicas, 3);
  EXPECT_EQ(dealt->back().replicas, 1);
}

// Per micro-batch the second set costs 2, the first 1.
TEST(DealBatch, LeavesOutTheDearestFirst) {
  const auto dealt = deal_batch({{10, 5, 1, 5.0}, {10, 5, 1, 10.0}}, 75);
  ASSERT_TRUE(dealt);
  EXPECT_EQ(dealt->front().replicas, 10);
  EXPECT_EQ(dealt->back().replicas, 5);
}

TEST(DealBatch, OneReplicaTakesLessWhereNothingElseAddsUp) {
  const auto dealt = deal_batch({{3, 4, 1, 1.0}}, 11);
  ASSERT_TRUE(dealt);
  ASSERT_EQ(dealt->size(), 2U);
  EXPECT_EQ(dealt->front().replicas, 2);
  EXPECT_EQ(dealt->back().replicas, 1);
  EXPECT_EQ(dealt->back().micro_batches, 3);
  // Expert ranks span two replicas, so that one alone cannot work less.
  EXPECT_FALSE(deal_batch({{4, 4, 2, 1.0}}, 11));
}

TEST(DealBatch, RefusesMoreThanThereIs) {
  EXPECT_FALSE(deal_batch({{3, 4, 1, 1.0}}, 13));
  EXPECT_FALSE(deal_batch({{3, 0, 1, 1.0}}, 0));
}

RC_GTEST_PROP(DealBatch, AddsUpWithinWhatThereIs, ()) {
  std::vector<ReplicaSet> sets;
  std::int64_t most = 0;
  const int count = *rc::gen::inRange(1, 5);
  for (int i = 0; i < count; ++i) {
    const std::int64_t granule = *rc::gen::inRange(1, 4);
    sets.push_back({granule * *rc::gen::inRange<std::int64_t>(1, 60), *rc::gen::inRange<std::int64_t>(1, 12), granule,
                    *rc::gen::inRange(1, 9) * 1.0});
    most += sets.back().replicas * sets.back().micro_batches;
  }
  const std::int64_t batch = *rc::gen::inRange<std::int64_t>(1, most + 1);
  const auto dealt = deal_batch(sets, batch);
  if (!dealt) {
    // Only granules can stand in the way.
    bool coarse = false;
    for (const ReplicaSet& set : sets) coarse = coarse || set.granule > 1;
    RC_ASSERT(coarse);
    return;
  }
  RC_ASSERT(sum_of(*dealt) == batch);
  std::vector<std::int64_t> used(sets.size(), 0);
  for (const DealtSet& set : *dealt) {
    used[set.set] += set.replicas;
    RC_ASSERT(set.micro_batches >= 1);
    RC_ASSERT(set.micro_batches <= sets[set.set].micro_batches);
  }
  for (std::size_t i = 0; i < sets.size(); ++i) {
    RC_ASSERT(used[i] <= sets[i].replicas);
    RC_ASSERT(used[i] % sets[i].granule == 0);
  }
}

}  // namespace
}  // namespace lindos::sim
