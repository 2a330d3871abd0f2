// SPDX-License-Identifier: Apache-2.0
#include "sim/stage_work.h"

#include <gtest/gtest.h>

namespace lindos::sim {
namespace {

PricedOp op_of(std::size_t segment, double seconds) {
  PricedOp op;
  op.family = Family::kGemm;
  op.segment = segment;
  op.time = Seconds(seconds);
  op.flop = Flop(0.5 * seconds);  // at 1 FLOP/s half of the time is useful
  return op;
}

const std::vector<RankCeiling> kTwoRanks = {{0, FlopPerSecond(1), BytesPerSecond(1)},
                                            {0, FlopPerSecond(1), BytesPerSecond(1)}};

// Rank 0 works 3 s and 1 s around an all-reduce of 0.5 s, rank 1 works 2 s and 4 s.
StageWork uneven_work() {
  StageWork work;
  work.ranks = {{op_of(0, 3.0), op_of(1, 1.0)}, {op_of(0, 2.0), op_of(1, 4.0)}};
  work.collectives = {{Seconds(0.5), Tier::kMeasured}, {Seconds(0), Tier::kMeasured}};
  return work;
}

TEST(StageWork, TheSlowestRankOfEachSegmentSetsThePace) {
  // max(3, 2) + 0.5 + max(1, 4) = 7.5; balancing the totals (4 against 6) would have said 6.5.
  EXPECT_DOUBLE_EQ(compute_time(uneven_work(), kTwoRanks, {}).count(), 7.5);
}

TEST(StageWork, WaitsAreBookedToTheRankThatWaits) {
  Ledger ledger;
  WorkTotals totals;
  book(uneven_work(), kTwoRanks, {}, ledger, totals);
  EXPECT_DOUBLE_EQ(ledger.amount(Cause::kStragglerMix),
                   1.0 + 3.0);  // rank 1 in segment 0, rank 0 in segment 1
  EXPECT_DOUBLE_EQ(ledger.amount(Cause::kExposedTensor), 2 * 0.5);
  EXPECT_DOUBLE_EQ(ledger.amount(Cause::kUseful), 0.5 * (3 + 1 + 2 + 4));
  EXPECT_DOUBLE_EQ(ledger.capacity_flop(), 2 * 7.5);  // both ranks, the whole time
  EXPECT_DOUBLE_EQ(totals.busy.count(), 10.0);
}

TEST(StageWork, SamplingIsHostTimeAndNoKernel) {
  StageWork work = uneven_work();
  work.ranks[0].push_back(op_of(1, 3.0));
  work.ranks[0].back().family = Family::kHost;
  Ledger ledger;
  WorkTotals totals;
  book(work, kTwoRanks, {}, ledger, totals);
  EXPECT_DOUBLE_EQ(ledger.amount(Cause::kHostOverhead), 3.0);
  EXPECT_DOUBLE_EQ(totals.busy.count(), 10.0);  // kernels only
}

TEST(StageWork, ADrawScalesOneFamily) {
  Draw draw;
  draw.devices.resize(1);
  draw.devices[0].fill(1.0);
  draw.devices[0][static_cast<std::size_t>(Family::kGemm)] = 2.0;
  EXPECT_DOUBLE_EQ(compute_time(uneven_work(), kTwoRanks, draw).count(), 14.5);  // 2·(3 + 4) + 0.5
}

}  // namespace
}  // namespace lindos::sim
