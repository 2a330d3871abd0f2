// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/long_run.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "tests/sim/reliability/reliability_fixture.h"

namespace lindos::sim {
namespace {

using testing::node_faults;
using testing::Sample;
using testing::software_faults_only;

std::vector<LongRun> runs(const ReliabilityInput& input, std::uint32_t draws,
                          std::uint64_t seed = 1) {
  std::vector<LongRun> all;
  const Seconds interval = interval_in_steps(input);
  for (std::uint32_t d = 0; d < draws; ++d) {
    all.push_back(simulate_long_run(input, interval, seed, d));
  }
  return all;
}

Sample share_of(const std::vector<LongRun>& all, double TimeShares::*share) {
  return testing::sample_of<LongRun>(all, [share](const LongRun& r) { return r.shares.*share; });
}

// Four standard errors: one case in 16,000 fails by chance, and the seed is fixed.
void expect_near(Sample sample, double expected, const std::string& what) {
  EXPECT_NEAR(sample.mean, expected, 4.0 * sample.standard_error + 1e-5) << what;
}

struct Case {
  const char* name;
  std::int64_t nodes;
  double blocking;
  double commit_delay;
  double outage;
};

class ClosedForm : public ::testing::TestWithParam<Case> {};

// Exponential failures and nodes always at hand: the simulation must reproduce every share of the
// exact form.
TEST_P(ClosedForm, IsTheMeanOfTheSimulation) {
  const Case& c = GetParam();
  ReliabilityInput input = software_faults_only(c.nodes, Seconds(c.blocking), Seconds(c.outage));
  input.checkpoint.commit_delay = Seconds(c.commit_delay);
  const TimeShares closed = closed_shares(renewal_cycle(input));
  const std::vector<LongRun> all = runs(input, 200);
  expect_near(share_of(all, &TimeShares::productive), closed.productive, "productive");
  expect_near(share_of(all, &TimeShares::checkpoint_io), closed.checkpoint_io, "checkpoint");
  expect_near(share_of(all, &TimeShares::lost_work), closed.lost_work, "lost");
  expect_near(share_of(all, &TimeShares::restart), closed.restart, "restart");
  expect_near(share_of(all, &TimeShares::waiting), 0.0, "waiting");
}

INSTANTIATE_TEST_SUITE_P(LongRun, ClosedForm,
                         ::testing::Values(Case{"Llama3Size", 2'048, 30, 0, 300},
                                           Case{"ColossusSize", 27'500, 30, 0, 300},
                                           Case{"LongSaves", 27'500, 600, 0, 300},
                                           Case{"LongRestart", 27'500, 5, 0, 1'800},
                                           Case{"Asynchronous", 27'500, 0.5, 173, 480},
                                           Case{"AsynchronousAndRare", 2'048, 0.5, 900, 480}),
                         [](const auto& c) { return std::string(c.param.name); });

// 30 days / 829 s = 3,127 interruptions of a run; over 200 runs 625,400 ± 791.
TEST(LongRun, InterruptionsArriveAtTheirRate) {
  const ReliabilityInput input = software_faults_only(27'500, Seconds{30}, Seconds{300});
  std::int64_t count = 0;
  for (const LongRun& run : runs(input, 200)) count += run.interruptions[0];
  const double expected =
      200.0 * input.horizon.count() / mean_time_between_interruptions(input.process).count();
  EXPECT_NEAR(static_cast<double>(count), expected, 4.0 * std::sqrt(expected));
}

// A node is out for λr/(1 + λr) of the time whatever the job does, so that the job waits while more
// of the 66 are out than there are spares: P(Binomial(66, 0.02/1.02) > 2) = 0.1399.
TEST(LongRun, TheJobWaitsWhileMoreNodesAreOutThanItHasSpares) {
  const ReliabilityInput input = node_faults(64, 2, Hertz(0.02 / 7'200), Seconds{7'200});
  expect_near(share_of(runs(input, 200), &TimeShares::waiting), 0.13991, "waiting");
}

// One repair at a time: the machine-repair chain with births (66 − k) λ and deaths 1/r; at λr =
// 0.005 more than 2 of 66 are out for 3.36 % of the time, and for 0.45 % when every repair begins
// at once.
TEST(LongRun, ARepairQueueKeepsNodesOutForLonger) {
  ReliabilityInput input = node_faults(64, 2, Hertz(0.005 / 7'200), Seconds{7'200});
  expect_near(share_of(runs(input, 200), &TimeShares::waiting), 0.004461, "no queue");
  input.process.repair_slots = 1;
  expect_near(share_of(runs(input, 200), &TimeShares::waiting), 0.03358, "one at a time");
}

// 16 replicas of 4 nodes without spares. Waiting keeps nothing while a single node is out;
// shrinking only leaves out replicas, at least those that the missing nodes cannot carry: E[16 −
// floor((64 − out)/4)]/16.
TEST(LongRun, ShrinkingLeavesOutReplicasOnly) {
  ReliabilityInput input = node_faults(64, 0, Hertz(0.02 / 7'200), Seconds{7'200});
  input.groups = {{"a", 16, {32}}};
  const Sample waits = share_of(runs(input, 100), &TimeShares::waiting);
  input.without_spare = WithoutSpare::kShrink;
  const std::vector<LongRun> all = runs(input, 100);
  const Sample shrinks = share_of(all, &TimeShares::waiting);
  double missing = 0.0;
  double probability = std::pow(1.0 / 1.02, 64);  // Binomial(64, 0.02/1.02)
  for (int out = 0; out <= 64; ++out) {
    missing += probability * (16 - (64 - out) / 4) / 16.0;
    probability *= 0.02 * (64 - out) / (out + 1);
  }
  EXPECT_GT(shrinks.mean, missing - 4.0 * shrinks.standard_error);
  // A replica comes back at the next interruption or when a restart for it pays; here within some
  // hours.
  EXPECT_LT(shrinks.mean, 1.5 * missing);
  EXPECT_LT(shrinks.mean, 0.2 * waits.mean);
}

// Half of the job waits for a day's repair while interruptions are years apart: it must not wait
// for the next one.
TEST(LongRun, ARepairedReplicaIsTakenBackWithoutAnInterruption) {
  ReliabilityInput input = node_faults(2, 0, Hertz(1.0 / (100 * 86'400.0)), Seconds{86'400});
  input.groups = {{"a", 2, {8}}};
  input.without_spare = WithoutSpare::kShrink;
  input.horizon = Seconds{1000 * 86'400.0};
  // Each node is out 1/101 of the time, and both replicas are back soon after.
  const Sample waiting = share_of(runs(input, 50), &TimeShares::waiting);
  expect_near(waiting, 1.0 / 101.0, "waiting");
}

// A rack of 8 out: 7 spares are one too few, 8 are enough but for two racks at once.
TEST(LongRun, ARackTakesAllItsNodes) {
  ReliabilityInput input = node_faults(64, 7, Hertz(0), Seconds{86'400});
  input.process.sources = {
      {"rack", 0, FaultScope::kRack, Hertz(1e-3 / 86'400.0), 9, 8, Seconds{86'400}}};
  const double too_few = share_of(runs(input, 100), &TimeShares::waiting).mean;
  input.process.pools[0].spares = 8;
  const double enough = share_of(runs(input, 100), &TimeShares::waiting).mean;
  // Eight racks out of nine hold nodes of the job: 8 × 1e-3 of the time.
  EXPECT_NEAR(too_few, 8e-3, 2e-3);
  EXPECT_LT(enough, 5e-4);
}

TEST(LongRun, EqualSeedsGiveEqualRuns) {
  ReliabilityInput input = node_faults(64, 1, Hertz(1e-6), Seconds{7'200});
  input.rate_sigma = 0.5;
  const Seconds interval = interval_in_steps(input);
  const LongRun a = simulate_long_run(input, interval, 7, 3);
  const LongRun b = simulate_long_run(input, interval, 7, 3);
  EXPECT_EQ(a.shares, b.shares);
  EXPECT_EQ(a.interruptions, b.interruptions);
  EXPECT_NE(a.shares, simulate_long_run(input, interval, 8, 3).shares);
  EXPECT_NE(a.shares, simulate_long_run(input, interval, 7, 4).shares);
}

// Pins the stream of random numbers and the arithmetic in whole microseconds: equal on every
// platform.
TEST(LongRun, IsTheSameEverywhere) {
  const ReliabilityInput input = node_faults(64, 1, Hertz(1e-6), Seconds{7'200});
  const LongRun run = simulate_long_run(input, Seconds{600}, 1, 0);
  EXPECT_EQ(run.interruptions[0], 152);
  EXPECT_DOUBLE_EQ(run.shares.productive, 0.87685185185185188);
}

TEST(LongRun, NothingFailsNothingIsLost) {
  ReliabilityInput input = node_faults(64, 0, Hertz(0), Seconds{0});
  const LongRun run = simulate_long_run(input, interval_in_steps(input), 1, 0);
  EXPECT_EQ(run.shares.productive, 1.0);
}

RC_GTEST_PROP(LongRun, SharesAreNotNegativeAndSumToOne, ()) {
  const std::int64_t job = *rc::gen::inRange<std::int64_t>(1, 200);
  ReliabilityInput input = node_faults(job, *rc::gen::inRange<std::int64_t>(0, 20),
                                       Hertz(*rc::gen::inRange(1, 2'000) * 1e-9),
                                       Seconds(*rc::gen::inRange(0, 200'000)));
  input.groups = {{"a", job, {8}}};
  input.process.repair_slots = *rc::gen::inRange<std::int64_t>(0, 5);
  input.checkpoint.commit_delay = Seconds(*rc::gen::inRange(0, 1'000));
  input.without_spare = *rc::gen::element(WithoutSpare::kWait, WithoutSpare::kShrink);
  input.rate_sigma = *rc::gen::element(0.0, 0.6);
  input.horizon = Seconds{5 * 86'400.0};
  const LongRun run =
      simulate_long_run(input, interval_in_steps(input), *rc::gen::arbitrary<std::uint64_t>(), 0);
  const TimeShares& s = run.shares;
  RC_ASSERT(std::abs(s.total() - 1.0) < 1e-9);
  RC_ASSERT(s.productive >= 0.0 && s.checkpoint_io >= 0.0 && s.lost_work >= 0.0);
  RC_ASSERT(s.restart >= 0.0 && s.waiting >= 0.0);
}

}  // namespace
}  // namespace lindos::sim
