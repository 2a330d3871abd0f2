// SPDX-License-Identifier: Apache-2.0
#include "scenarios/run_timeline.h"

#include <cmath>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "scenarios/error.h"

namespace lindos {
namespace {

RunTimeline sample() {
  RunTimeline t;
  t.scenario_name = "s \"quoted\"";
  t.scenario_digest = "abc";
  t.fidelity = "maxplus";
  t.seed = std::numeric_limits<std::uint64_t>::max();
  t.what = "one training step";
  t.lanes = {
      {"h100 replica 0", "stage 0"}, {"h100 replica 0", "stage 1"}, {"requests", "request 7"}};
  t.spans = {{0, SpanKind::kForward, Seconds(0.0), Seconds(0.25), "forward of micro-batch 0", ""},
             {0, SpanKind::kBubble, Seconds(0.25), Seconds(0.125), "waits", "for stage 1"},
             {1, SpanKind::kForward, Seconds(0.250000001), Seconds(0.25),
              "forward of micro-batch 0", "input"},
             {2, SpanKind::kArrival, Seconds(0.1), Seconds(0.0), "request 7", ""}};
  return t;
}

TEST(RunTimeline, ReadsBackWhatItWrites) {
  EXPECT_EQ(run_timeline_from_json(to_json(sample()), "t.json"), sample());
}

// What Perfetto and chrome://tracing need: an object with traceEvents, microseconds, names of
// processes and threads.
TEST(RunTimeline, IsTraceEventJson) {
  const nlohmann::json json = nlohmann::json::parse(to_json(sample()));
  const nlohmann::json& events = json.at("traceEvents");
  ASSERT_EQ(events.size(), 2u + 3u + 4u);
  EXPECT_EQ(events[0].at("name"), "process_name");
  EXPECT_EQ(events[1].at("args").at("name"), "stage 0");
  EXPECT_EQ(events[3].at("name"), "process_name");
  const nlohmann::json& bubble = events[6];
  EXPECT_EQ(bubble.at("ph"), "X");
  EXPECT_EQ(bubble.at("ts"), 250000.0);
  EXPECT_EQ(bubble.at("dur"), 125000.0);
  EXPECT_EQ(bubble.at("pid"), 1);
  EXPECT_EQ(bubble.at("tid"), 1);
  EXPECT_EQ(bubble.at("cat"), "bubble");
  EXPECT_EQ(events[7].at("ts"), 250000.001);  // nanoseconds are kept
  EXPECT_EQ(events[8].at("ph"), "i");
  EXPECT_EQ(events[8].at("pid"), 2);
}

TEST(RunTimeline, EveryKindHasAnEntryOfItsOwn) {
  ASSERT_EQ(span_kinds().size(), kSpanKinds);
  for (std::size_t i = 0; i < kSpanKinds; ++i) {
    EXPECT_EQ(static_cast<std::size_t>(span_kinds()[i].kind), i);
    EXPECT_FALSE(span_kinds()[i].sentence.empty());
    for (std::size_t j = 0; j < i; ++j) EXPECT_NE(span_kinds()[i].name, span_kinds()[j].name);
  }
}

TEST(RunTimeline, LimitKeepsTheFirstAndSaysWhatIsGone) {
  RunTimeline t = sample();
  limit_spans(t, 4);
  EXPECT_EQ(t.cut, "");
  EXPECT_EQ(t, sample());
  limit_spans(t, 2);
  ASSERT_EQ(t.spans.size(), 2u);
  EXPECT_EQ(t.spans[0].lane, 0u);  // 0.0 s and the arrival at 0.1 s
  EXPECT_EQ(t.spans[1].lane, 2u);
  EXPECT_EQ(t.cut, "the first 2 of 4 spans, up to 0.25 s");
}

TEST(RunTimeline, AnyTimesSurviveToTheNanosecond) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> exponent(-9.0, 5.9);
  RunTimeline t;
  t.lanes = {{"g", "l"}};
  for (int i = 0; i < 500; ++i) {
    t.spans.push_back({0, SpanKind::kStepWait, Seconds(std::pow(10.0, exponent(random))),
                       Seconds(std::pow(10.0, exponent(random))), "w", ""});
  }
  limit_spans(t);
  const RunTimeline read = run_timeline_from_json(to_json(t), "t.json");
  for (std::size_t i = 0; i < t.spans.size(); ++i) {
    EXPECT_NEAR(read.spans[i].start.count(), t.spans[i].start.count(), 0.501e-9);
    EXPECT_NEAR(read.spans[i].duration.count(), t.spans[i].duration.count(), 0.501e-9);
  }
  EXPECT_EQ(run_timeline_from_json(to_json(read), "t.json"), read);
}

struct Wrong {
  const char* from;
  const char* to;
  const char* said;
};

TEST(RunTimeline, OtherFilesAreRefusedWithThePlace) {
  const std::vector<Wrong> wrongs = {
      {"\"lindos-timeline\"", "\"lindos-plan\"", "lindos-timeline"},
      {"\"version\": 1", "\"version\": 2", "version"},
      {"\"cat\":\"forward\"", "\"cat\":\"forwards\"", "forward"},
      {"\"ts\":250000.0", "\"ts\":-1.0", "/ts"},
      {"\"ts\":250000.0", "\"ts\":1e300", "/ts"},
      {"\"dur\":125000.0", "\"dur\":\"long\"", "/dur"},
      {"\"tid\":3,\"ts\"", "\"tid\":9,\"ts\"", "/tid"},
      {"\"pid\":2,\"tid\":3,\"ts\"", "\"pid\":1,\"tid\":3,\"ts\"", "/tid"},
      {"\"ph\":\"X\"", "\"ph\":\"B\"", "/ph"},
      {"\"ph\":\"i\"", "\"ph\":\"X\"", "/ph"},
      {"\"source\": \"predicted\"", "\"source\": \"dreamt\"", "dreamt"},
      {"\"cut\"", "\"cuts\"", "cut"},
  };
  const std::string good = to_json(sample());
  for (const Wrong& wrong : wrongs) {
    std::string text = good;
    const std::size_t at = text.find(wrong.from);
    ASSERT_NE(at, std::string::npos) << wrong.from;
    text.replace(at, std::string(wrong.from).size(), wrong.to);
    try {
      static_cast<void>(run_timeline_from_json(text, "t.json"));
      FAIL() << wrong.to << " was accepted";
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kInput);
      EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr("t.json"));
      EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr(wrong.said)) << wrong.to;
    }
  }
}

TEST(RunTimeline, MoreSpansThanLindosWritesAreRefused) {
  RunTimeline t;
  t.lanes = {{"g", "l"}};
  t.spans.assign(kMostSpans + 1, {0, SpanKind::kStepWait, Seconds(0), Seconds(1), "w", ""});
  EXPECT_THROW(static_cast<void>(run_timeline_from_json(to_json(t), "t.json")), Error);
  t.spans.pop_back();
  EXPECT_EQ(run_timeline_from_json(to_json(t), "t.json").spans.size(), kMostSpans);
}

}  // namespace
}  // namespace lindos
