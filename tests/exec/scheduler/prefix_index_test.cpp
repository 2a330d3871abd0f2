// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/prefix_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lindos::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Tokens = std::vector<TokenId>;

// Blocks of two tokens in a pool of eight.
class PrefixIndexTest : public ::testing::Test {
 protected:
  struct User {
    Tokens tokens;
    PrefixChain chain;
    std::vector<BlockId> table;
  };

  // Enters, computes all of `tokens` and makes its full blocks shareable.
  User serve(const Tokens& tokens, std::uint64_t salt = 0) {
    User user = compute(tokens, salt);
    publish(user);
    return user;
  }
  User compute(const Tokens& tokens, std::uint64_t salt = 0) {
    User user{tokens, {}, {}};
    user.chain.salt = salt;
    index_.take(user.chain, match(user), user.table);
    const auto needed = static_cast<std::int64_t>((tokens.size() + 1) / 2 - user.table.size());
    EXPECT_TRUE(pool_.allocate(needed, user.table));
    return user;
  }
  void publish(User& user) { index_.publish(user.chain, user.tokens, user.tokens.size() / 2, user.table); }
  void release(User& user) { index_.release(user.chain, user.table); }
  PrefixMatch match(User& user) { return index_.match(user.chain, user.tokens, user.tokens.size() / 2); }
  std::vector<BlockId> matched(const Tokens& tokens, std::uint64_t salt = 0) {
    User user{tokens, {}, {}};
    user.chain.salt = salt;
    return match(user).blocks;
  }

  BlockPool pool_{8};
  PrefixIndex index_{2, pool_, 0};
};

TEST_F(PrefixIndexTest, FindsTheLongestBeginningOfFullBlocks) {
  const User first = serve({1, 2, 3, 4, 5});
  EXPECT_THAT(first.table, ElementsAre(0, 1, 2));
  EXPECT_THAT(matched({1, 2, 3, 4, 5, 6}), ElementsAre(0, 1));  // block 2 is not full
  EXPECT_THAT(matched({1, 2, 3, 9}), ElementsAre(0));
  EXPECT_THAT(matched({1, 2, 3}), ElementsAre(0));
  EXPECT_THAT(matched({9, 2, 3, 4}), IsEmpty());
  EXPECT_THAT(matched({3, 4}), IsEmpty());  // the same tokens after others
}

TEST_F(PrefixIndexTest, ASaltKeepsApart) {
  const User first = serve({1, 2, 3, 4}, 7);
  EXPECT_THAT(matched({1, 2, 3, 4}), IsEmpty());
  EXPECT_THAT(matched({1, 2, 3, 4}, 8), IsEmpty());
  EXPECT_THAT(matched({1, 2, 3, 4}, 7), ElementsAre(0, 1));
}

TEST_F(PrefixIndexTest, ABlockStaysUsedUntilItsLastOwnerGivesItUp) {
  User first = serve({1, 2, 3, 4});
  User second = serve({1, 2, 5, 6});
  EXPECT_THAT(second.table, ElementsAre(0, 2));
  EXPECT_EQ(pool_.used(), 3);
  release(first);
  EXPECT_EQ(index_.cached(), 1);  // block 1
  User third{{1, 2, 3, 4}, {}, {}};
  EXPECT_EQ(match(third).owned, 1u);
  EXPECT_THAT(match(third).blocks, ElementsAre(0, 1));
  release(second);
  EXPECT_EQ(index_.cached(), 3);
  EXPECT_EQ(pool_.used(), 3);
}

TEST_F(PrefixIndexTest, EvictsLeavesFirstAndWhatWasGivenUpLongestAgo) {
  User first = serve({1, 2, 3, 4});   // blocks 0, 1
  User second = serve({5, 6, 7, 8});  // blocks 2, 3
  release(second);
  release(first);
  index_.evict(1);
  EXPECT_THAT(matched({5, 6, 7, 8}), ElementsAre(2));
  index_.evict(1);
  EXPECT_THAT(matched({5, 6, 7, 8}), IsEmpty());
  EXPECT_THAT(matched({1, 2, 3, 4}), ElementsAre(0, 1));
  index_.evict(1);
  EXPECT_THAT(matched({1, 2, 3, 4}), ElementsAre(0));
  EXPECT_EQ(pool_.free(), 7);
}

TEST_F(PrefixIndexTest, AHitMakesABlockRecent) {
  User first = serve({1, 2, 3, 4});
  User second = serve({5, 6, 7, 8});
  release(first);
  release(second);
  User third = serve({1, 2, 9});
  release(third);
  index_.evict(2);  // of the first its leaf, of the second its leaf: its root and the shared root are younger
  EXPECT_THAT(matched({1, 2, 3, 4}), ElementsAre(0));
  EXPECT_THAT(matched({5, 6, 7, 8}), ElementsAre(2));
}

TEST_F(PrefixIndexTest, ABlockComputedTwiceIsKeptOnce) {
  User first = compute({1, 2, 3, 4});
  User second = compute({1, 2, 3, 4, 5});
  EXPECT_THAT(second.table, ElementsAre(2, 3, 4));
  publish(first);
  publish(second);
  EXPECT_THAT(second.table, ElementsAre(0, 1, 4));
  EXPECT_EQ(pool_.used(), 3);
  release(first);
  EXPECT_EQ(index_.cached(), 0);  // the second owns them too
  release(second);
  EXPECT_EQ(index_.cached(), 2);
}

TEST_F(PrefixIndexTest, OneThatComesTooLateTakesTheBlockWithoutAnOwner) {
  User first = compute({1, 2});
  User second = compute({1, 2});
  publish(first);
  release(first);
  EXPECT_EQ(index_.cached(), 1);
  publish(second);
  EXPECT_THAT(second.table, ElementsAre(0));
  EXPECT_EQ(index_.cached(), 0);
  EXPECT_EQ(pool_.used(), 1);
}

// Every key is the same: never a false hit, and what could not enter is free again at the end.
TEST(PrefixIndexCollision, CostsTimeNotTruth) {
  BlockPool pool(8);
  PrefixIndex index(2, pool, 0, [](std::span<const std::byte>) { return Hash128{}; });
  const auto serve = [&](const Tokens& tokens, PrefixChain& chain, std::vector<BlockId>& table) {
    index.take(chain, index.match(chain, tokens, tokens.size() / 2), table);
    ASSERT_TRUE(pool.allocate(static_cast<std::int64_t>(tokens.size() / 2 - table.size()), table));
    index.publish(chain, tokens, tokens.size() / 2, table);
  };
  PrefixChain first;
  PrefixChain second;
  PrefixChain third;
  std::vector<BlockId> tables[3];
  serve({1, 2, 3, 4}, first, tables[0]);
  serve({5, 6, 7, 8}, second, tables[1]);
  EXPECT_THAT(tables[1], ElementsAre(2, 3));
  EXPECT_EQ(second.indexed, 0u);
  PrefixChain asks;
  EXPECT_THAT(index.match(asks, Tokens{5, 6, 7, 8}, 2).blocks, IsEmpty());
  serve({1, 2, 3, 4}, third, tables[2]);
  EXPECT_THAT(tables[2], ElementsAre(0, 4));
  index.release(second, tables[1]);
  index.release(third, tables[2]);
  index.release(first, tables[0]);
  EXPECT_EQ(index.cached(), 1);
  EXPECT_EQ(pool.free(), 7);
}

}  // namespace
}  // namespace lindos::scheduler
