// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>
#include <vector>

#include "kernels/stream_read.h"

namespace lindos::kernels {
namespace {

TEST(CpuPool, EveryMemberRunsOncePerRegionAndWritesAreVisibleToTheNext) {
  for (const int threads : {1, 2, 5}) {
    CpuPool pool(threads);
    ASSERT_EQ(pool.threads(), threads);
    std::vector<int> calls(static_cast<std::size_t>(threads));  // plain ints: the pool must order the accesses
    for (int region = 0; region < 300; ++region) {
      pool.run([&](int member, int count) {
        ASSERT_EQ(count, threads);
        ASSERT_EQ(calls[static_cast<std::size_t>((member + region) % threads)]++, region);
      });
    }
    for (const int c : calls) EXPECT_EQ(c, 300);
  }
}

TEST(CpuPool, WakesWorkersThatSleep) {
  CpuPool pool(3);
  int total[3] = {};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // longer than the workers spin
    pool.run([&](int member, int) {
      if (member == 2) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the owner sleeps, too
      ++total[member];
    });
  }
  for (const int t : total) EXPECT_EQ(t, 5);
}

TEST(CpuPool, ComesAndGoesWithOrWithoutWork) {
  for (int i = 0; i < 50; ++i) {
    CpuPool idle(3);
    CpuPool pool(2);
    int sum[2] = {};
    pool.run([&](int member, int) { sum[member] = member + 1; });
    EXPECT_EQ(sum[0] + sum[1], 3);
  }
}

TEST(CpuPool, SeveralOwnersSideBySide) {
  std::vector<std::thread> owners;
  std::vector<long> sums(4);
  for (std::size_t o = 0; o < sums.size(); ++o) {
    owners.emplace_back([&sums, o] {
      CpuPool pool(2);
      long part[2] = {};
      for (int i = 0; i < 200; ++i) pool.run([&](int member, int) { part[member] += member + 1; });
      sums[o] = part[0] + part[1];
    });
  }
  for (std::thread& owner : owners) owner.join();
  for (const long s : sums) EXPECT_EQ(s, 600);
}

TEST(PartOf, PartsAreContiguousAndCoverTheWholeInGranules) {
  for (const std::int64_t total : {0, 1, 7, 16, 99, 577}) {
    for (const std::int64_t granule : {1, 6, 16}) {
      for (const int threads : {1, 2, 3, 8}) {
        std::int64_t next = 0;
        for (int member = 0; member < threads; ++member) {
          const Part part = part_of(total, granule, member, threads);
          EXPECT_EQ(part.begin, next);
          EXPECT_TRUE(part.begin % granule == 0 || part.begin == total);
          next = part.end;
        }
        EXPECT_EQ(next, total);
      }
    }
  }
}

TEST(StreamRead, MeasuresSomethingPlausible) {
  CpuPool pool(2);
  const double rate = measure_read_bandwidth(pool, 1U << 20U, 2);
  EXPECT_GT(rate, 1e6);   // a megabyte per second: any machine
  EXPECT_LT(rate, 1e14);  // 100 TB/s: no machine
}

}  // namespace
}  // namespace lindos::kernels
