// SPDX-License-Identifier: Apache-2.0
#include "sim/workers.h"

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "scenarios/error.h"

namespace lindos::sim {
namespace {

TEST(Workers, DoEachPieceOnceAndNoWorkerTwoAtATime) {
  constexpr std::size_t kWorkers = 4;
  constexpr std::size_t kPieces = 1000;
  std::vector<int> done(kPieces, 0);
  std::vector<int> inside(kWorkers, 0);  // each is one worker's alone
  std::vector<double> reported;
  run_workers(
      kWorkers, kPieces,
      [&](std::size_t worker, std::size_t i) {
        EXPECT_EQ(++inside[worker], 1);
        ++done[i];
        --inside[worker];
      },
      [&](double share) { reported.push_back(share); });
  EXPECT_EQ(done, std::vector<int>(kPieces, 1));
  for (std::size_t i = 1; i < reported.size(); ++i) EXPECT_GT(reported[i], reported[i - 1]);
}

TEST(Workers, ThrowWhatTheFirstFailedPieceThrew) {
  std::atomic<int> begun{0};
  try {
    run_workers(3, 100, [&](std::size_t, std::size_t i) {
      ++begun;
      if (i >= 5) throw Error(ErrorKind::kInfeasible, "piece", std::to_string(i));
    });
    FAIL() << "pieces threw";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("5"), std::string::npos) << e.what();
  }
  EXPECT_LT(begun, 100);
  run_workers(2, 0, [](std::size_t, std::size_t) { FAIL(); });
}

TEST(Workers, AreNoMoreThanThePieces) {
  EXPECT_EQ(workers_for(0), 1U);
  EXPECT_EQ(workers_for(1), 1U);
  EXPECT_GE(workers_for(100), 1U);
}

}  // namespace
}  // namespace lindos::sim
