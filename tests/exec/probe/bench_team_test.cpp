// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/bench_team.h"

#include <atomic>
#include <chrono>
#include <set>
#include <thread>

#include <gtest/gtest.h>

namespace lindos::exec {
namespace {

TEST(BenchTeam, TimesOneCall) {
  BenchTeam team(RankLayout{1, 1});
  const BenchTeam::Call call = [](int, kernels::CpuPool&, std::int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  // A sleep never ends early; how late it ends is the machine's business.
  EXPECT_GE(team.batch(call, 0, 3), std::chrono::milliseconds(2));
}

TEST(BenchTeam, CallsEachRankOfEachIterationOnce) {
  constexpr int kRanks = 3;
  BenchTeam team(RankLayout{2, kRanks});
  for (int use = 0; use < 3; ++use) {
    std::vector<std::set<std::int64_t>> seen(kRanks);
    std::vector<std::set<const kernels::CpuPool*>> pools(kRanks);
    std::atomic<int> calls{0};
    constexpr std::int64_t kFirst = 5;
    constexpr std::int64_t kIterations = 40;
    (void)team.batch(
        [&](int rank, kernels::CpuPool& pool, std::int64_t iteration) {
          EXPECT_EQ(pool.threads(), 2);
          seen[static_cast<std::size_t>(rank)].insert(iteration);
          pools[static_cast<std::size_t>(rank)].insert(&pool);
          ++calls;
        },
        kFirst, kIterations);
    std::set<const kernels::CpuPool*> all;
    for (int rank = 0; rank < kRanks; ++rank) {
      const auto& iterations = seen[static_cast<std::size_t>(rank)];
      EXPECT_EQ(iterations, seen.front());
      EXPECT_EQ(*iterations.begin(), kFirst);
      EXPECT_EQ(*iterations.rbegin(), kFirst + kIterations - 1);
      all.merge(pools[static_cast<std::size_t>(rank)]);
    }
    EXPECT_EQ(all.size(), static_cast<std::size_t>(kRanks)) << "one pool per rank";
    EXPECT_EQ(calls, kRanks * kIterations);
  }
}

TEST(BenchTeam, GivesEachRankItsThreads) {
  BenchTeam team(std::vector<int>{1, 3});
  EXPECT_EQ(team.pool(0).threads(), 1);
  EXPECT_EQ(team.pool(1).threads(), 3);
}

TEST(BenchTeam, EndsWithoutEverTiming) {
  for (const int ranks : {1, 2, 5}) BenchTeam team(RankLayout{1, ranks});
}

}  // namespace
}  // namespace lindos::exec
