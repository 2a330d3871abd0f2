// SPDX-License-Identifier: Apache-2.0
#include "exec/telemetry/measured_timeline.h"

#include <gtest/gtest.h>

#include "tests/exec/engine_harness.h"

namespace lindos::exec {
namespace {

// Two steps of a made run: a prompt of 12, then a decode.
EngineRun made_run(double wall) {
  EngineRun run;
  run.wall = Seconds{wall};
  run.steps = {{{0, 12, true}}, {{12, 1, true}}};
  run.step_starts = {Seconds{1.0}, Seconds{2.0}};
  run.step_times = {Seconds{0.5}, Seconds{0.25}};
  run.first_step = {{9, 0}};
  run.outcome.timelines = {{9, Seconds{0.75}, 12, {Seconds{1.5}, Seconds{2.25}}}};
  return run;
}

TEST(MeasuredTimeline, SaysWhenWhatRan) {
  EngineRun slow = made_run(9.0);
  slow.step_times[0] = Seconds{0.9};
  const RunTimeline t = measured_timeline({slow, made_run(4.0), made_run(1.0)}, 1);
  EXPECT_EQ(t.source, RunSource::kMeasured);
  EXPECT_EQ(t.what, "repeat 2 of 3, the one with the median time, as its driver saw it");
  EXPECT_EQ(t.cut, "");
  EXPECT_EQ(t.lanes, (std::vector<TimelineLane>{{"steps", "steps"}, {"requests", "request 9"}}));
  const std::vector<TimelineSpan> expected = {
      {0, SpanKind::kPrefillStep, Seconds{1.0}, Seconds{0.5}, "step 1", "12 tokens of 1 prompt and 0 decodes"},
      {0, SpanKind::kDecodeStep, Seconds{2.0}, Seconds{0.25}, "step 2", "1 decode"},
      {1, SpanKind::kArrival, Seconds{0.75}, Seconds{0}, "request 9", "12 tokens in, 2 tokens out"},
      {1, SpanKind::kQueued, Seconds{0.75}, Seconds{0.25}, "request 9 queued", "until step 1"},
      {1, SpanKind::kPrefill, Seconds{1.0}, Seconds{0.5}, "request 9 prefill", "12 tokens from step 1 on"},
      {1, SpanKind::kDecode, Seconds{1.5}, Seconds{0.75}, "request 9 decode", "2 tokens, one in 750 ms on average"}};
  EXPECT_EQ(t.spans, expected);
}

TEST(MeasuredTimeline, ARequestThatIsTurnedAwayOnlyArrives) {
  EngineRun run = made_run(1.0);
  run.outcome.timelines.push_back({11, Seconds{1.25}, 30, {}});
  const RunTimeline t = measured_timeline({run}, 1);
  EXPECT_EQ(t.lanes.back(), (TimelineLane{"requests", "request 11"}));
  EXPECT_EQ(t.spans.back(), (TimelineSpan{2, SpanKind::kArrival, Seconds{1.25}, Seconds{0}, "request 11",
                                          "30 tokens in; turned away by the plan's admission limits"}));
}

TEST(MeasuredTimeline, IsBoundedAndSaysSo) {
  EngineRun run = made_run(1.0);
  for (std::size_t i = 0; i < 2 * kMostMeasuredSpans; ++i) {
    run.steps.push_back({{13, 1, true}});
    run.step_starts.push_back(Seconds{3.0 + static_cast<double>(i)});
    run.step_times.push_back(Seconds{0.5});
  }
  const RunTimeline t = measured_timeline({run}, 1);
  EXPECT_EQ(t.spans.size(), kMostMeasuredSpans);
  EXPECT_NE(t.cut.find("the first 6,000 of 12,006 spans"), std::string::npos) << t.cut;
}

// Of a real run, with a pipeline: the file is one that the desktop takes, and spans of a lane follow each other.
TEST(MeasuredTimeline, OfARealRun) {
  const harness::Layout pipeline{"Pipeline", {1.0}, {1.0, 1.0}};
  const auto replica = Replica::in_process(harness::tiny_config(pipeline));
  RunOptions options;
  options.prompt = [](const RequestSpec& r) { return harness::make_prompt(r.prompt_tokens, r.id, 200); };
  const EngineRun run = replica->run({{3, Seconds{0}, 12, 5}, {4, Seconds{0}, 30, 4}, {5, Seconds{0.01}, 7, 9}}, options);
  EXPECT_EQ(run.step_starts.size(), run.step_times.size());
  RunTimeline t = measured_timeline({run}, 2);
  EXPECT_EQ(t.lanes.size(), 5u);
  t.scenario_name = t.plan_name = "x";
  t.scenario_digest = t.plan_digest = std::string(32, 'a');
  const std::string text = to_json(t);
  EXPECT_EQ(to_json(run_timeline_from_json(text, "t")), text);
  for (std::size_t i = 1; i < t.spans.size(); ++i) {
    if (t.spans[i].lane != t.spans[i - 1].lane) continue;
    EXPECT_GE(t.spans[i].start.count(), t.spans[i - 1].end().count() - 1e-9) << t.spans[i].name;
  }
}

}  // namespace
}  // namespace lindos::exec
