// SPDX-License-Identifier: Apache-2.0
// The protocol of the all-reduce over peer memory, on threads: a thread stands for a block, barriers for the order of a stream.
// Under ThreadSanitizer an access that no meeting orders is an error.
#include "kernels/peer_all_reduce.h"

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace lindos::kernels {

namespace {

constexpr std::int64_t kWidth = 3;
constexpr int kNever = 1 << 30;

// Memory of one rank, open to all.
struct RankMemory {
  explicit RankMemory(std::int64_t rows)
      : partial{std::vector<float>(static_cast<std::size_t>(rows * kWidth)), std::vector<float>(static_cast<std::size_t>(rows * kWidth))},
        residual(static_cast<std::size_t>(rows * kWidth)), finished(static_cast<std::size_t>(rows * kWidth)) {}
  std::vector<float> partial[2];
  std::vector<float> residual, finished;
  std::array<std::uint32_t, kPeerWords> words{};
  std::array<std::uint32_t, kMostPeerBlocks> epochs{};
};

class HostBlock {
 public:
  HostBlock(std::vector<RankMemory>& ranks, const PeerPlan& plan, int index, int parity, int patience)
      : ranks_(&ranks), plan_(plan), index_(index), parity_(static_cast<std::size_t>(parity)), patience_(patience) {}

  [[nodiscard]] bool meet() {
    const std::uint32_t epoch = ++mine().epochs[static_cast<std::size_t>(index_)];
    for (int r = 0; r < plan_.ranks; ++r) word(r, plan_.rank).store(epoch, std::memory_order_release);
    for (int r = 0; r < plan_.ranks; ++r) {
      for (int looks = 0; !has_come(word(plan_.rank, r).load(std::memory_order_acquire), epoch); ++looks) {
        if (looks == patience_) {
          missing = r;
          return false;
        }
        std::this_thread::yield();
      }
    }
    return true;
  }
  void add_row(std::int64_t i) {
    for (const std::size_t at : places(i)) mine().residual[at] = summed(at);
    finish_row(i);
  }
  void spread_row(std::int64_t i) {
    for (const std::size_t at : places(i)) {
      const float sum = summed(at);
      for (RankMemory& rank : *ranks_) rank.residual[at] = sum;
    }
  }
  void finish_row(std::int64_t i) {
    for (const std::size_t at : places(i)) mine().finished[at] = 2.0F * mine().residual[at];
  }
  int missing = -1;

 private:
  RankMemory& mine() { return (*ranks_)[static_cast<std::size_t>(plan_.rank)]; }
  // The word in `of`'s memory that `from` writes.
  std::atomic_ref<std::uint32_t> word(int of, int from) {
    return std::atomic_ref<std::uint32_t>((*ranks_)[static_cast<std::size_t>(of)].words[static_cast<std::size_t>(peer_word(index_, from))]);
  }
  static std::array<std::size_t, kWidth> places(std::int64_t i) {
    std::array<std::size_t, kWidth> at{};
    for (std::size_t j = 0; j < at.size(); ++j) at[j] = static_cast<std::size_t>(i * kWidth) + j;
    return at;
  }
  float summed(std::size_t at) {
    float sum = 0.0F;
    for (const RankMemory& rank : *ranks_) sum += rank.partial[parity_][at];
    return sum + mine().residual[at];
  }

  std::vector<RankMemory>* ranks_;
  PeerPlan plan_;
  int index_;
  std::size_t parity_;
  int patience_;
};

struct Shape {
  PeerShots shots;
  std::int64_t rows;
  int blocks;
};

// One decimal of each rank and round: sums are rounded, so their order shows.
float partial_of(int rank, std::size_t round, std::size_t at) {
  return 0.1F * static_cast<float>((rank * 37 + static_cast<int>(round) * 11 + static_cast<int>(at) * 5) % 101 - 50);
}

class PeerAllReduce : public ::testing::TestWithParam<int> {};

TEST_P(PeerAllReduce, EveryRankHoldsTheSumAfterEachOfManyRounds) {
  const int ranks = GetParam();
  constexpr int kMostBlocks = 2;
  constexpr std::int64_t kMostRows = 13;
  constexpr std::size_t kRounds = 60;
  std::mt19937 random(20261127U + static_cast<unsigned>(ranks));
  std::vector<Shape> shapes;
  for (std::size_t round = 0; round < kRounds; ++round) {
    const auto rows = static_cast<std::int64_t>(random() % kMostRows + 1);
    shapes.push_back({random() % 2 == 0 ? PeerShots::kOne : PeerShots::kTwo, rows, static_cast<int>(random() % kMostBlocks + 1)});
  }
  std::vector<RankMemory> memory(static_cast<std::size_t>(ranks), RankMemory(kMostRows));
  std::vector<std::vector<std::vector<float>>> seen(static_cast<std::size_t>(ranks), std::vector<std::vector<float>>(kRounds));
  std::vector<std::vector<std::vector<float>>> finished = seen;
  std::deque<std::barrier<>> streams;
  for (int r = 0; r < ranks; ++r) streams.emplace_back(kMostBlocks);
  std::vector<std::thread> blocks;
  for (int r = 0; r < ranks; ++r) {
    for (int b = 0; b < kMostBlocks; ++b) {
      blocks.emplace_back([&, r, b] {
        RankMemory& mine = memory[static_cast<std::size_t>(r)];
        std::barrier<>& stream = streams[static_cast<std::size_t>(r)];
        std::mt19937 delays(static_cast<unsigned>(r * 10 + b));
        for (std::size_t round = 0; round < kRounds; ++round) {
          const Shape& shape = shapes[round];
          if (delays() % 8 == 0) std::this_thread::sleep_for(std::chrono::microseconds(delays() % 300));
          if (b == 0) {
            auto& partial = mine.partial[round % 2];
            for (std::size_t at = 0; at < partial.size(); ++at) partial[at] = partial_of(r, round, at);
          }
          stream.arrive_and_wait();
          if (b < shape.blocks) {
            const PeerPlan plan{shape.shots, shape.blocks, ranks, r, shape.rows};
            HostBlock block(memory, plan, b, static_cast<int>(round % 2), kNever);
            sum_over_peers(block, plan, b);
          }
          stream.arrive_and_wait();
          if (b == 0) {
            seen[static_cast<std::size_t>(r)][round] = mine.residual;
            finished[static_cast<std::size_t>(r)][round] = mine.finished;
          }
        }
      });
    }
  }
  for (std::thread& t : blocks) t.join();

  std::vector<float> expected(static_cast<std::size_t>(kMostRows * kWidth));
  std::vector<float> doubled = expected;
  for (std::size_t round = 0; round < kRounds; ++round) {
    for (std::size_t at = 0; at < static_cast<std::size_t>(shapes[round].rows * kWidth); ++at) {
      float sum = 0.0F;
      for (int r = 0; r < ranks; ++r) sum += partial_of(r, round, at);
      expected[at] = sum + expected[at];
      doubled[at] = 2.0F * expected[at];
    }
    for (int r = 0; r < ranks; ++r) {
      ASSERT_EQ(seen[static_cast<std::size_t>(r)][round], expected) << "rank " << r << ", round " << round;
      ASSERT_EQ(finished[static_cast<std::size_t>(r)][round], doubled) << "rank " << r << ", round " << round;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, PeerAllReduce, ::testing::Values(2, 3, 8));

// A rank that never comes is named by all others, and nothing is summed.
TEST(PeerAllReduceFault, ARankThatDoesNotComeIsNamed) {
  constexpr int kRanks = 3;
  std::vector<RankMemory> memory(kRanks, RankMemory(2));
  std::array<int, kRanks> missing{};
  std::vector<std::thread> threads;
  for (const int r : {0, 2}) {
    threads.emplace_back([&, r] {
      const PeerPlan plan{PeerShots::kOne, 1, kRanks, r, 2};
      HostBlock block(memory, plan, 0, 0, 200);
      sum_over_peers(block, plan, 0);
      missing[static_cast<std::size_t>(r)] = block.missing;
    });
  }
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(missing[0], 1);
  EXPECT_EQ(missing[2], 1);
  EXPECT_EQ(memory[0].finished, RankMemory(2).finished);
}

TEST(PeerPlan, EveryRowHasOneOwner) {
  for (const int ranks : {1, 2, 3, 5, 8}) {
    for (std::int64_t rows = 1; rows < 40; ++rows) {
      PeerPlan plan{PeerShots::kTwo, 1, ranks, 0, rows};
      EXPECT_EQ(share_begin(plan, 0), 0);
      EXPECT_EQ(share_begin(plan, ranks), rows);
      for (int r = 0; r < ranks; ++r) {
        const std::int64_t share = share_begin(plan, r + 1) - share_begin(plan, r);
        EXPECT_GE(share, rows / ranks);
        EXPECT_LE(share, (rows + ranks - 1) / ranks);
      }
    }
  }
}

TEST(PeerPlan, AMeetingIsKnownAcrossTheWrapOfItsNumber) {
  EXPECT_TRUE(has_come(5, 5));
  EXPECT_TRUE(has_come(6, 5));
  EXPECT_FALSE(has_come(4, 5));
  EXPECT_FALSE(has_come(0xffffffffU, 0));
  EXPECT_TRUE(has_come(0, 0xffffffffU));
}

// 8 KB rows of Llama-3.1-8B. 512 KB are 64 of them, 256 KB 32.
TEST(PeerPlan, LargeSumsOfManyRanksTakeTwoShots) {
  constexpr std::int64_t kRow = 8192;
  EXPECT_EQ(peer_shots(2, 4096, kRow), PeerShots::kOne);
  EXPECT_EQ(peer_shots(4, 64, kRow), PeerShots::kOne);
  EXPECT_EQ(peer_shots(4, 65, kRow), PeerShots::kTwo);
  EXPECT_EQ(peer_shots(8, 32, kRow), PeerShots::kOne);
  EXPECT_EQ(peer_shots(8, 33, kRow), PeerShots::kTwo);
  EXPECT_EQ(peer_shots(8, 7, 1 << 20), PeerShots::kOne) << "fewer rows than ranks";
}

TEST(PeerPlan, BlocksThatWaitLeaveHalfOfASharedDeviceToOthers) {
  EXPECT_EQ(peer_blocks(PeerShots::kOne, 8, 1, 132, 1), 1);
  EXPECT_EQ(peer_blocks(PeerShots::kOne, 8, 500, 132, 1), 32);
  EXPECT_EQ(peer_blocks(PeerShots::kTwo, 8, 64, 132, 1), 8);
  EXPECT_EQ(peer_blocks(PeerShots::kOne, 4, 500, 132, 4), 16);   // 4 · 16 of 132
  EXPECT_EQ(peer_blocks(PeerShots::kOne, 8, 500, 8, 8), 1);
}

}  // namespace

}  // namespace lindos::kernels
