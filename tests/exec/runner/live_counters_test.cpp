// SPDX-License-Identifier: Apache-2.0
#include "exec/runner/live_counters.h"

#include <numeric>

#include <gtest/gtest.h>

#include "scenarios/timeline.h"
#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

TEST(LiveCounters, AWindowHoldsWhatCameInIt) {
  LiveCounters counters;
  counters.begin();
  counters.submitted(7, Seconds{1.0}, 3);
  counters.submitted(8, Seconds{2.0}, 1);
  counters.sampled(Seconds{2.5}, {7});
  LiveWindow first = counters.take();
  EXPECT_EQ(first.output_tokens, 1);
  EXPECT_EQ(first.ttft_s, std::vector<double>{1.5});  // 2.5 − 1.0
  EXPECT_TRUE(first.tpot_s.empty());

  counters.sampled(Seconds{3.0}, {7, 8});
  counters.sampled(Seconds{4.5}, {7});
  scheduler::Snapshot state;
  state.running = 1;
  counters.state(state);
  const LiveWindow second = counters.take();
  EXPECT_EQ(second.output_tokens, 3);
  EXPECT_EQ(second.total_output_tokens, 4);
  EXPECT_EQ(second.ttft_s, std::vector<double>{1.0});   // of request 8
  EXPECT_EQ(second.tpot_s, std::vector<double>{1.0});   // (4.5 − 2.5) / 2; request 8 has one token and none
  EXPECT_EQ(second.scheduler.running, 1);

  const LiveWindow third = counters.take();  // nothing came: state and total stay
  EXPECT_EQ(third.output_tokens, 0);
  EXPECT_EQ(third.total_output_tokens, 4);
  EXPECT_EQ(third.scheduler.running, 1);
  counters.begin();
  EXPECT_EQ(counters.take().total_output_tokens, 0);
}

// What the counters say of a real run is what its record says of it.
TEST(LiveCounters, AgreeWithTheRun) {
  for (const harness::Layout& layout : {harness::Layout{}, harness::Layout{"Pipeline", {1.0}, {1.0, 1.0}}}) {
    const EngineConfig config = harness::tiny_config(layout);
    const auto replica = Replica::in_process(config);
    LiveCounters counters;
    RunOptions options;
    options.prompt = [](const RequestSpec& r) { return harness::make_prompt(r.prompt_tokens, r.id, 200); };
    options.live = &counters;
    const EngineRun run = replica->run({{3, Seconds{0}, 12, 5}, {4, Seconds{0}, 30, 1}, {5, Seconds{0.01}, 7, 9}}, options);
    const LiveWindow seen = counters.take();
    EXPECT_EQ(seen.total_output_tokens, 15);
    EXPECT_EQ(seen.scheduler.running, 0);
    ASSERT_EQ(seen.ttft_s.size(), 3u);
    ASSERT_EQ(seen.tpot_s.size(), 2u);
    const ServingSummary summary = summarise(run.outcome.timelines, Slo{});
    // The driver stamps a token some microseconds after its step's result; the machine may be busy.
    EXPECT_NEAR(quantile(seen.ttft_s, 0.5), summary.ttft.count(), 0.05);
    EXPECT_NEAR(quantile(seen.tpot_s, 0.5), summary.tpot.count(), 0.05);
  }
}

}  // namespace
}  // namespace lindos::exec
