// SPDX-License-Identifier: Apache-2.0
// One replica served by the three rungs: each by hand, and against each other.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "exec/scheduler/limits_from_plan.h"
#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "sim/closed_serving.h"
#include "sim/datasheet.h"
#include "sim/maxplus.h"
#include "sim/replica_model.h"
#include "sim/simgrid_serving.h"
#include "sim/uncertainty.h"
#include "tests/sim/toy_profile.h"

namespace lindos::sim {
namespace {

using Devices = std::map<std::string, ProfiledDevice>;

Profile gpu_profile() {
  Profile profile = datasheet_profile(toy::gpu_device());
  profile.matrix_rate = FlopPerSecond(10e12);
  profile.matrix_rates.clear();
  return profile;
}

Devices devices_of(bool gpu) {
  if (gpu) return {{"pool", {toy::gpu_device(), gpu_profile()}}};
  Profile profile = toy::bare_profile();
  profile.step_overhead = Seconds(20e-6);
  profile.per_sequence_overhead = Seconds(1e-6);
  return {{"pool", {toy::host_device(), profile}}};
}

GroupPlan plan_of(int stages, int ranks, std::int64_t max_sequences = 64) {
  EngineLimits limits;
  limits.max_sequences = max_sequences;
  const std::vector<double> weights(static_cast<std::size_t>(ranks), 1.0);
  return make_plan(toy::model(), "pool", stages, weights, {}, Dtype::kF32, limits, kCpuGranule)
      .groups.front();
}

std::vector<RequestSpec> requests_of(int count, std::int64_t prompt, std::int64_t output,
                                     double gap = 0.0) {
  std::vector<RequestSpec> requests;
  for (int i = 0; i < count; ++i) {
    requests.push_back({static_cast<std::uint64_t>(i), Seconds(gap * i), prompt, output});
  }
  return requests;
}

scheduler::Limits limits_of(const GroupPlan& plan) {
  return scheduler::scheduler_limits(plan, 4096, 0);
}

TEST(Replica, ADecodeStepIsPricedByHand) {
  // f32, no samples, two threads: byte-bound ops at 0.8·100 GB/s, attention at 0.75·100 GB/s; batch
  // 1 after 15 positions, so that every op is bound by bytes.
  //   per layer: weights 4·(128·64 + 64·64 + 256·64 + 64·128) = 147,456; their inputs and outputs
  //   4·(192 + 128 + 320 + 192) = 3,328; two norms 2·(2·64 + 64)·4 = 1,536; two residuals 2·3·64·4
  //   = 1,536; RoPE 4·(2·64 + 64) + KV write 4·64 = 1,024; SwiGLU 4·3·128 = 1,536. Sum 156,416.
  //   ends: embedding 2·64·4 = 512, final norm 768, LM head 4·(256·64 + 64 + 256) = 66,816.
  //   attention per layer: q and output 512, 16 keys · 64 · 4 = 4,096.
  // (2·156,416 + 68,096)/80e9 + 2·4,608/75e9 = 4.76160 us + 0.12288 us.
  Devices devices = devices_of(false);
  devices.at("pool").profile.per_sequence_overhead = Seconds(0);
  ReplicaModel replica(toy::model(), plan_of(1, 1), {}, devices);
  const StageWork& work = replica.work({{15, 1, true}}, 0, 1);
  EXPECT_NEAR(compute_time(work, replica.ranks(0), {}).count(), 4.7616e-6 + 0.12288e-6, 1e-15);
}

TEST(Maxplus, TwoStagesOverlapAndTheRestIsBubble) {
  // Four prompts of one output token: two micro-batches of two. Stage 0 is left at a = overhead +
  // c0 + send and at 2a; stage 1 takes d = c1 + reply each: end = max(a + d, 2a) + d.
  ReplicaModel replica(toy::model(), plan_of(2, 1), {}, devices_of(true));
  const Batch micro(2, Slice{0, 32, true});
  const auto stage = [&](std::size_t s) {
    return (compute_time(replica.work(micro, s, 1), replica.ranks(s), {}) +
            replica.path(s).transfer(replica.sent_bytes(micro, s)))
        .count();
  };
  const double a = replica.step_overhead().count() + stage(0);
  const double d = stage(1);
  const double end = std::max(a + d, 2 * a) + d;
  const ServingRun run =
      serve_maxplus(replica, limits_of(plan_of(2, 1)), requests_of(4, 32, 1), {});
  EXPECT_NEAR(run.end.count(), end, 1e-15);
  // Each stage is busy twice its time; the rest of both is bubble.
  const double peak = replica.ranks(0).front().peak.value();
  EXPECT_NEAR(run.ledger.amount(Cause::kPipelineBubble) / peak, 2 * end - 2 * a - 2 * d, 1e-15);
  EXPECT_DOUBLE_EQ(run.ledger.share(Cause::kNoWork), 0.0);
}

TEST(Maxplus, WaitingForArrivalsIsNoWork) {
  ReplicaModel replica(toy::model(), plan_of(1, 1), {}, devices_of(false));
  const ServingRun together =
      serve_maxplus(replica, limits_of(plan_of(1, 1)), requests_of(1, 16, 4), {});
  const ServingRun apart =
      serve_maxplus(replica, limits_of(plan_of(1, 1)), requests_of(2, 16, 4, 1.0), {});
  EXPECT_NEAR(apart.end.count(), 1.0 + together.end.count(), 1e-12);
  EXPECT_NEAR(apart.ledger.share(Cause::kNoWork), (1.0 - together.end.count()) / apart.end.count(),
              1e-12);
}

void expect_closed_books(const ReplicaModel& replica, const ServingRun& run) {
  double sum = 0.0;
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    EXPECT_GE(run.ledger.amount(static_cast<Cause>(i)), 0.0);
    sum += run.ledger.share(static_cast<Cause>(i));
  }
  EXPECT_NEAR(sum, 1.0, 1e-9);
  EXPECT_NEAR(run.ledger.capacity_flop() / (replica.peak() * run.end).value(), 1.0, 1e-9);
}

struct Case {
  const char* name;
  bool gpu;
  int stages;
  int ranks;
  double gap;
};
class Rungs : public testing::TestWithParam<Case> {};

TEST_P(Rungs, MaxplusAndSimgridAgreeWithoutContention) {
  const Case& c = GetParam();
  const GroupPlan plan = plan_of(c.stages, c.ranks);
  const Devices devices = devices_of(c.gpu);
  ReplicaModel replica(toy::model(), plan, {}, devices);
  const auto requests = requests_of(7, 48, 9, c.gap);
  const ServingRun maxplus = serve_maxplus(replica, limits_of(plan), requests, {});
  const auto platform = stage_devices(plan, replica, devices, {{"pool", 2}});
  const ServingRun simgrid =
      serve_simgrid_isolated(replica, {}, platform, limits_of(plan), requests);
  ASSERT_EQ(maxplus.timelines.size(), simgrid.timelines.size());
  for (std::size_t r = 0; r < requests.size(); ++r) {
    ASSERT_EQ(simgrid.timelines[r].token_times.size(), 9U);
    for (std::size_t t = 0; t < 9; ++t) {
      const double expected = maxplus.timelines[r].token_times[t].count();
      EXPECT_NEAR(simgrid.timelines[r].token_times[t].count(), expected, 1e-6 * expected);
    }
  }
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    EXPECT_NEAR(simgrid.ledger.share(static_cast<Cause>(i)),
                maxplus.ledger.share(static_cast<Cause>(i)), 1e-6);
  }
  expect_closed_books(replica, maxplus);
  expect_closed_books(replica, simgrid);
}

INSTANTIATE_TEST_SUITE_P(Replicas, Rungs,
                         testing::Values(Case{"single", false, 1, 1, 0.0},
                                         Case{"tensor", false, 1, 2, 0.0},
                                         Case{"pipeline", true, 2, 1, 0.0},
                                         Case{"arrivals", true, 2, 1, 3e-4},
                                         Case{"both", true, 2, 2, 1e-3}),
                         [](const auto& c) { return c.param.name; });

TEST(Closed, EqualRequestsTogetherMatchMaxplusWithinOnePercent) {
  const GroupPlan plan = plan_of(1, 1);
  ReplicaModel replica(toy::model(), plan, {}, devices_of(false));
  const auto requests = requests_of(16, 64, 33);
  const ServingRun closed = serve_closed(replica, limits_of(plan), requests);
  const ServingRun maxplus = serve_maxplus(replica, limits_of(plan), requests, {});
  EXPECT_NEAR(closed.end / maxplus.end, 1.0, 0.01);
  const ServingSummary a = summarise(closed.timelines, Slo{});
  const ServingSummary b = summarise(maxplus.timelines, Slo{});
  EXPECT_NEAR(a.ttft / b.ttft, 1.0, 0.01);
  EXPECT_NEAR(a.tpot / b.tpot, 1.0, 0.01);
  EXPECT_NEAR(closed.ledger.share(Cause::kUseful), maxplus.ledger.share(Cause::kUseful), 0.01);
  expect_closed_books(replica, closed);
}

TEST(Closed, SeveralWavesAddUp) {
  const GroupPlan plan = plan_of(1, 1, 8);
  ReplicaModel replica(toy::model(), plan, {}, devices_of(false));
  const auto requests = requests_of(24, 64, 17);
  const ServingRun closed = serve_closed(replica, limits_of(plan), requests);
  const ServingRun maxplus = serve_maxplus(replica, limits_of(plan), requests, {});
  EXPECT_NEAR(closed.end / maxplus.end, 1.0, 0.01);
}

// 8 clients with equal requests move in step, so that the waves of the closed rung are what happens.
TEST(Closed, ClientsOfAClosedLoopMatchMaxplusWithinOnePercent) {
  const GroupPlan plan = plan_of(1, 1);
  ReplicaModel replica(toy::model(), plan, {}, devices_of(false));
  auto requests = requests_of(24, 64, 17);
  for (std::size_t i = 8; i < requests.size(); ++i) requests[i].on_completion = true;
  const ServingRun closed = serve_closed(replica, limits_of(plan), requests);
  const ServingRun maxplus = serve_maxplus(replica, limits_of(plan), requests, {});
  EXPECT_NEAR(closed.end / maxplus.end, 1.0, 0.01);
  const ServingSummary a = summarise(closed.timelines, Slo{});
  const ServingSummary b = summarise(maxplus.timelines, Slo{});
  EXPECT_NEAR(a.ttft / b.ttft, 1.0, 0.01);
  EXPECT_NEAR(a.tpot / b.tpot, 1.0, 0.01);
  // All 24 at once would wait for two waves more.
  EXPECT_LT(3.0 * a.ttft.count(), summarise(serve_closed(replica, limits_of(plan_of(1, 1, 8)), requests_of(24, 64, 17)).timelines, Slo{}).ttft.count());
}

// The same clients in each rung of event level, and the engine's driver is the same code.
TEST(Serving, AClosedLoopIsTheSameInBothEventRungs) {
  const GroupPlan plan = plan_of(2, 1);
  const Devices devices = devices_of(true);
  ReplicaModel replica(toy::model(), plan, {}, devices);
  auto requests = requests_of(9, 64, 17);
  for (std::size_t i = 3; i < requests.size(); ++i) requests[i].on_completion = true;
  const ServingRun maxplus = serve_maxplus(replica, limits_of(plan), requests, {});
  const ServingRun simgrid = serve_simgrid_isolated(
      replica, {}, stage_devices(plan, replica, devices, {{"pool", 8}}), limits_of(plan), requests);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_NEAR(maxplus.timelines[i].arrival.count(), simgrid.timelines[i].arrival.count(), 1e-6 * maxplus.end.count());
    EXPECT_EQ(maxplus.timelines[i].arrival > Seconds(0), i >= 3);
  }
}

// docs/sim.md, "Ladder of fidelity": of arrivals below saturation the closed rung knows the mean rate.
TEST(Closed, BelowSaturationArrivalsCountByTheirMeanRateOnly) {
  const GroupPlan plan = plan_of(1, 1);
  ReplicaModel replica(toy::model(), plan, {}, devices_of(false));
  const double alone = serve_maxplus(replica, limits_of(plan), requests_of(1, 64, 17), {}).end.count();
  const auto even = requests_of(16, 64, 17, 2.0 * alone);
  auto burst = even;  // the same span, hence the same rate
  for (std::size_t i = 1; i + 1 < burst.size(); ++i) burst[i].arrival = burst.front().arrival;
  const auto closed = [&](const std::vector<RequestSpec>& requests) {
    return summarise(serve_closed(replica, limits_of(plan), requests).timelines, Slo{});
  };
  const auto maxplus = [&](const std::vector<RequestSpec>& requests) {
    return summarise(serve_maxplus(replica, limits_of(plan), requests, {}).timelines, Slo{});
  };
  EXPECT_NEAR(closed(even).ttft / closed(burst).ttft, 1.0, 1e-6);
  EXPECT_NEAR(closed(even).tpot / closed(burst).tpot, 1.0, 1e-6);
  EXPECT_GT(maxplus(burst).ttft / maxplus(even).ttft, 1.2);
  EXPECT_NEAR(closed(even).tpot / maxplus(even).tpot, 1.0, 0.1);
  // Another rate is seen.
  EXPECT_GT(closed(requests_of(16, 64, 17, 0.5 * alone)).tpot / closed(even).tpot, 1.001);
}

TEST(Serving, ARequestThatNeverFitsIsInfeasible) {
  const GroupPlan plan = plan_of(1, 1);
  ReplicaModel replica(toy::model(), plan, {}, devices_of(false));
  scheduler::Limits limits = limits_of(plan);
  limits.kv_blocks = 2;
  const auto requests = requests_of(1, 100, 4);
  for (const bool event_level : {false, true}) {
    try {
      const auto platform = stage_devices(plan, replica, devices_of(false), {{"pool", 1}});
      static_cast<void>(event_level
                            ? serve_simgrid_isolated(replica, {}, platform, limits, requests)
                            : serve_maxplus(replica, limits, requests, {}));
      ADD_FAILURE() << "no error";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
      EXPECT_NE(std::string(e.what()).find("KV blocks"), std::string::npos) << e.what();
    }
  }
}

TEST(Uncertainty, DrawsAreAFunctionOfSeedAndNumber) {
  const std::vector<Factors> sigmas(2, Factors{0.1, 0.1, 0.1, 0.1, 0.1, 0.1});
  EXPECT_EQ(draw_factors(sigmas, 7, 3).devices, draw_factors(sigmas, 7, 3).devices);
  EXPECT_NE(draw_factors(sigmas, 7, 3).devices, draw_factors(sigmas, 7, 4).devices);
  EXPECT_NE(draw_factors(sigmas, 7, 3).devices, draw_factors(sigmas, 8, 3).devices);
  // The logarithms have mean 0 and the stated sigma: 2,000 draws, standard error 0.1/√2000 =
  // 0.0022.
  double sum = 0.0;
  double squares = 0.0;
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const double x = std::log(draw_factors(sigmas, 1, i).devices[0][0]);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / 2000, 0.0, 4 * 0.0022);
  EXPECT_NEAR(std::sqrt(squares / 2000), 0.1, 0.008);
}

}  // namespace
}  // namespace lindos::sim
