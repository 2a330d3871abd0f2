// SPDX-License-Identifier: Apache-2.0
// The order of passes and the recursion over it, against drawings by hand.
#include "sim/training/pipeline_schedule.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sim/training/replica_pipeline.h"
#include "tests/sim/training/toy_job.h"

namespace lindos::sim {
namespace {

using toy::even_group;

std::vector<double> ends_of(const GroupJob& group, const std::vector<float>& factors = {}) {
  std::vector<double> ends(group.stages.size());
  ReplicaPipeline(group).run(factors.empty() ? nullptr : factors.data(), ends.data());
  return ends;
}

TEST(StageSchedule, LastStageAlternatesFromTheFirst) {
  const std::vector<Pass> expected = {{false, 0, 0}, {true, 0, 0}, {false, 0, 1}, {true, 0, 1}};
  EXPECT_EQ(stage_schedule(3, 1, 2, 2), expected);
}

TEST(StageSchedule, FirstStageOfThreeRunsTwoForwardsAhead) {
  const std::vector<Pass> expected = {{false, 0, 0}, {false, 0, 1}, {false, 0, 2}, {true, 0, 0},
                                      {false, 0, 3}, {true, 0, 1},  {true, 0, 2},  {true, 0, 3}};
  EXPECT_EQ(stage_schedule(3, 1, 4, 0), expected);
}

TEST(StageSchedule, InterleavedTakesMicroBatchesInGroupsOfTheDepth) {
  // Two stages, two chunks, four micro-batches: 2 · (2 − 1 − 1) + (2 − 1) · 2 = 2 forwards ahead on stage 1.
  const std::vector<Pass> schedule = stage_schedule(2, 2, 4, 1);
  const std::vector<Pass> begin(schedule.begin(), schedule.begin() + 4);
  const std::vector<Pass> expected = {{false, 0, 0}, {false, 0, 1}, {false, 1, 0}, {true, 1, 0}};
  EXPECT_EQ(begin, expected);
}

RC_GTEST_PROP(StageSchedule, HoldsEveryPassOnceAndForwardBeforeBackward, ()) {
  const int stages = *rc::gen::inRange(1, 9);
  const int chunks = *rc::gen::inRange(1, 4);
  const auto micro_batches = static_cast<std::int64_t>(*rc::gen::inRange(1, 20));
  const int stage = *rc::gen::inRange(0, stages);
  std::set<std::tuple<bool, int, std::int64_t>> seen;
  for (const Pass& pass : stage_schedule(stages, chunks, micro_batches, stage)) {
    RC_ASSERT(seen.insert({pass.backward, pass.chunk, pass.micro_batch}).second);
    if (pass.backward) RC_ASSERT(seen.count({false, pass.chunk, pass.micro_batch}) == 1U);
  }
  RC_ASSERT(seen.size() == static_cast<std::size_t>(2 * chunks * micro_batches));
}

// (m + p − 1) (tf + tb): 3 stages, 4 micro-batches, 1 s + 2 s → 18 s on the first stage. The last one is
// done when its fourth backward is: 2 + 4 · 3 = 14 s; the middle one 2 s later.
TEST(ReplicaPipeline, EvenStagesFillAndDrain) {
  const std::vector<double> ends = ends_of(even_group(3, 4));
  EXPECT_NEAR(ends[0], 18.0, 1e-12);
  EXPECT_NEAR(ends[1], 16.0, 1e-12);
  EXPECT_NEAR(ends[2], 14.0, 1e-12);
}

// Two chunks of half the size: m (tf + tb) + (p − 1) (tf + tb) / 2 = 12 + 1.5 for two stages.
TEST(ReplicaPipeline, InterleavingHalvesTheBubble) {
  EXPECT_NEAR(ReplicaPipeline(even_group(2, 4, 1)).nominal_end().count(), 15.0, 1e-12);
  EXPECT_NEAR(ReplicaPipeline(even_group(2, 4, 2)).nominal_end().count(), 13.5, 1e-12);
}

// One stage: no bubble, no message.
TEST(ReplicaPipeline, OneStageIsBusyAllTheTime) {
  EXPECT_NEAR(ReplicaPipeline(even_group(1, 5, 1, 0.5)).nominal_end().count(), 15.0, 1e-12);
}

// The last of two stages at double time (communication of 0.1 + 0.2 s per pass is not stretched): its passes
// take 1.9 + 3.8 = 5.7 s; it starts after 1 s, runs 4 of them, and the first stage ends 2 s after it.
TEST(ReplicaPipeline, TheSlowStageGates) {
  const std::vector<double> ends = ends_of(even_group(2, 4), {1.0F, 2.0F});
  EXPECT_NEAR(ends[1], 1.0 + 4 * 5.7, 1e-6);
  EXPECT_NEAR(ends[0], 1.0 + 4 * 5.7 + 2.0, 1e-6);
}

RC_GTEST_PROP(ReplicaPipeline, NeverBelowItsBoundsAndNeverFasterWithMessages, ()) {
  const int stages = *rc::gen::inRange(1, 7);
  const int chunks = *rc::gen::inRange(1, 4);
  const auto micro_batches = static_cast<std::int64_t>(*rc::gen::inRange(1, 12));
  const double hop = 0.01 * *rc::gen::inRange(0, 30);
  const GroupJob group = even_group(stages, micro_batches, chunks, hop);
  const double free = ReplicaPipeline(group, Messages::kFree).nominal_end().count();
  const double priced = ReplicaPipeline(group).nominal_end().count();
  const double work = 3.0 * static_cast<double>(micro_batches);
  RC_ASSERT(free >= work + 3.0 / chunks * (stages - 1) / 1.0 - 1e-9);
  RC_ASSERT(priced >= free - 1e-12);
}

}  // namespace
}  // namespace lindos::sim
