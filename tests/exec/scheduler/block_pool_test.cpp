// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/block_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lindos::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(BlockPool, HandsOutTheLowestFreeIdsFirst) {
  BlockPool pool(5);
  std::vector<BlockId> a;
  std::vector<BlockId> b;
  ASSERT_TRUE(pool.allocate(2, a));
  ASSERT_TRUE(pool.allocate(2, b));
  EXPECT_THAT(a, ElementsAre(0, 1));
  EXPECT_THAT(b, ElementsAre(2, 3));
  pool.release(a);
  EXPECT_THAT(a, IsEmpty());
  ASSERT_TRUE(pool.allocate(1, b));  // appends
  EXPECT_THAT(b, ElementsAre(2, 3, 0));
}

TEST(BlockPool, AllocatesAllOrNothing) {
  BlockPool pool(3);
  std::vector<BlockId> table;
  EXPECT_FALSE(pool.allocate(4, table));
  EXPECT_THAT(table, IsEmpty());
  EXPECT_EQ(pool.free(), 3);
  ASSERT_TRUE(pool.allocate(3, table));
  EXPECT_EQ(pool.used(), 3);
  EXPECT_FALSE(pool.allocate(1, table));
  EXPECT_TRUE(pool.allocate(0, table));
  EXPECT_EQ(pool.used() + pool.free(), pool.total());
}

TEST(BlockPoolDeathTest, CatchesADoubleRelease) {
#ifdef LINDOS_ASSERTS
  BlockPool pool(2);
  std::vector<BlockId> table;
  ASSERT_TRUE(pool.allocate(1, table));
  std::vector<BlockId> copy = table;
  pool.release(table);
  EXPECT_DEATH(pool.release(copy), "released twice");
#else
  GTEST_SKIP() << "internal assertions are off in this build";
#endif
}

}  // namespace
}  // namespace lindos::scheduler
