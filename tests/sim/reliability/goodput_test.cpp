// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/goodput.h"

#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "sim/reliability/checkpoint.h"
#include "tests/sim/reliability/reliability_fixture.h"

namespace lindos::sim {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Daly's interval and the exact goodput at it, one job, anchor rate, R = 300 s: the nine cells of
// the handbook's §6.2, rounded as printed there. First cell by hand: M = 1/(1.973e-5/h × 16,384) =
// 11,135 s; τ = sqrt(2·5·11,135) (1 + sqrt(5/22,270)/3 + …) − 5 = 330 s; 330.4 / (11,135
// e^(300/11,135) (e^(335.4/11,135) − 1)) = 0.945.
struct Cell {
  double gpus;
  double blocking;
  double interval;
  double goodput;
};
constexpr Cell kCells[] = {
    {16'384, 5, 330, 0.945}, {16'384, 30, 797, 0.904},  {16'384, 120, 1'556, 0.837},
    {65'536, 5, 164, 0.845}, {65'536, 30, 389, 0.772},  {65'536, 120, 739, 0.659},
    {220'000, 5, 88, 0.623}, {220'000, 30, 204, 0.526}, {220'000, 120, 370, 0.386},
};

Seconds anchor_mtbi(double gpus) { return Seconds(1.0 / (testing::kAnchorRate * gpus)); }

TEST(Goodput, DalysIntervalAndTheExactShareOfTheHandbook) {
  for (const Cell& cell : kCells) {
    const Seconds mtbi = anchor_mtbi(cell.gpus);
    const Seconds daly = daly_interval(Seconds(cell.blocking), mtbi);
    EXPECT_NEAR(daly.count(), cell.interval, 0.5) << cell.gpus << ' ' << cell.blocking;
    const TimeShares shares =
        closed_shares({daly, Seconds(cell.blocking), Seconds{0}, Seconds{300}, mtbi});
    EXPECT_NEAR(shares.productive, cell.goodput, 0.0005) << cell.gpus << ' ' << cell.blocking;
  }
}

// δ/τ + (τ/2 + R)/M = 30/204 + (102 + 300)/829 = 0.63: 37 % instead of 53 %.
TEST(Goodput, TheFirstOrderFormIsFarTooLowAtScale) {
  const double first_order = 1.0 - 30.0 / 204.0 - (102.0 + 300.0) / anchor_mtbi(220'000).count();
  EXPECT_NEAR(first_order, 0.526 - 0.158, 0.001);
}

// The independent first-order form that Meta prints for its clusters, arXiv 2410.21680:
// E[ETTR] = (1 − N r (u0 + Δt/2)) / (1 + w/Δt). 128 nodes at 6.5 per 1,000 node-days, u0 = 12.5
// min, hourly saves of 1 min: (1 − (750 + 1,800)/103,846) / (1 + 60/3,600) = 0.9595. Second-order
// terms are below 1e-3 here.
TEST(Goodput, AgreesWithThePublishedFormulaWhereFailuresAreRare) {
  const Seconds mtbi(86'400.0 / (128 * 6.5e-3));
  const TimeShares shares =
      closed_shares({Seconds{3'600}, Seconds{60}, Seconds{0}, Seconds{750}, mtbi});
  EXPECT_NEAR(shares.productive, 0.9595, 1e-3);
}

// M = R = δ + τ, all 1 h, τ = 0.9 h: restart 1 − 1/e; productive 0.9 / (e (e − 1)) = 0.19269.
TEST(Goodput, EveryShareByHand) {
  const TimeShares s =
      closed_shares({Seconds{3'240}, Seconds{360}, Seconds{0}, Seconds{3'600}, Seconds{3'600}});
  EXPECT_NEAR(s.restart, 0.63212, 1e-5);
  EXPECT_NEAR(s.productive, 0.19269, 1e-5);
  EXPECT_NEAR(s.checkpoint_io, 0.02141, 1e-5);  // a ninth of it
  EXPECT_NEAR(s.lost_work, 0.15378, 1e-5);      // the rest: 1/e − 0.21410
  EXPECT_EQ(s.waiting, 0.0);
}

TEST(Goodput, WithoutFailuresOnlySavesCost) {
  const TimeShares s =
      closed_shares({Seconds{90}, Seconds{10}, Seconds{500}, Seconds{300}, Seconds(kInfinity)});
  EXPECT_DOUBLE_EQ(s.productive, 0.9);
  EXPECT_DOUBLE_EQ(s.checkpoint_io, 0.1);
}

// A fleet that is interrupted each second never restarts, and the formula stays finite.
TEST(Goodput, AHopelessFleetKeepsNothing) {
  const TimeShares s =
      closed_shares({Seconds{100}, Seconds{1}, Seconds{0}, Seconds{3'600}, Seconds{1}});
  EXPECT_EQ(s.productive, 0.0);
  EXPECT_EQ(s.restart, 1.0);
}

// M from a minute to 4 months; δ/M from 1e-6 to the given one.
rc::Gen<RenewalCycle> any_cycle(double largest_ratio) {
  const auto unit = rc::gen::map(rc::gen::inRange(0, 1'000'001), [](int i) { return i * 1e-6; });
  return rc::gen::map(rc::gen::tuple(unit, unit, unit, unit, unit), [largest_ratio](const auto& u) {
    const auto [m, d, w, r, t] = u;
    RenewalCycle cycle;
    cycle.mtbi = Seconds(60.0 * std::pow(1.7e5, m));
    cycle.blocking = cycle.mtbi * (1e-6 * std::pow(largest_ratio / 1e-6, d));
    cycle.commit_delay = cycle.mtbi * w;
    cycle.restart = cycle.mtbi * (3.0 * r);
    cycle.interval = cycle.mtbi * (1e-4 + 2.0 * t);
    return cycle;
  });
}

RC_GTEST_PROP(Goodput, SharesAreNotNegativeAndSumToOne, ()) {
  const TimeShares s = closed_shares(*any_cycle(10.0));
  RC_ASSERT(std::abs(s.total() - 1.0) < 1e-9);
  RC_ASSERT(s.productive >= 0.0 && s.checkpoint_io >= 0.0 && s.lost_work >= 0.0);
  RC_ASSERT(s.restart >= 0.0 && s.waiting == 0.0);
}

RC_GTEST_PROP(Goodput, TheSweptIntervalIsDalysWhereSavesAreShort, ()) {
  const RenewalCycle cycle = *any_cycle(0.02);
  const double swept = swept_interval(cycle).count();
  RC_ASSERT(std::abs(swept / daly_interval(cycle.blocking, cycle.mtbi).count() - 1.0) < 0.01);
}

// d/dτ of the exact form is zero where 1 − τ/M = e^(−(τ + δ)/M), for any δ.
RC_GTEST_PROP(Goodput, TheSweptIntervalIsTheRootOfTheDerivative, ()) {
  const RenewalCycle cycle = *any_cycle(10.0);
  const double t = swept_interval(cycle) / cycle.mtbi;
  RC_ASSERT(std::abs(1.0 - t - std::exp(-t - cycle.blocking / cycle.mtbi)) < 1e-5);
}

RC_GTEST_PROP(Goodput, NothingThatTakesLongerEverHelps, ()) {
  const RenewalCycle cycle = *any_cycle(10.0);
  const double before = closed_shares(cycle).productive;
  for (Seconds RenewalCycle::*const part :
       {&RenewalCycle::blocking, &RenewalCycle::commit_delay, &RenewalCycle::restart}) {
    RenewalCycle slower = cycle;
    slower.*part = slower.*part * 1.5;
    RC_ASSERT(closed_shares(slower).productive <= before);
  }
}

}  // namespace
}  // namespace lindos::sim
