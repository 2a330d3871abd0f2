// SPDX-License-Identifier: Apache-2.0
// The spans of requests are those that the metrics are made of.
#include "sim/serving/serving_timeline.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "scenarios/error.h"
#include "scenarios/timeline.h"

namespace lindos::sim {
namespace {

struct Predicted {
  RunRecord record;
  RunTimeline timeline;
};

Predicted predicted(const Scenario& scenario, Fidelity fidelity = Fidelity::kMaxplus) {
  Predicted out;
  PredictOptions options;
  options.fidelity = fidelity;
  options.draws = 0;
  options.timeline = [&out](RunTimeline t) { out.timeline = std::move(t); };
  out.record = predict(scenario, {}, options);
  return out;
}

Scenario one_gpu(std::int64_t requests) {
  Scenario scenario =
      load_scenario(LINDOS_SOURCE_DIR "/scenarios/one-h200-llama8b.toml", load_catalogue(default_catalogue_dir()));
  scenario.workload.serving.requests = requests;
  return scenario;
}

TEST(ServingTimeline, SpansOfRequestsGiveTheRecordsLatencies) {
  const Predicted p = predicted(one_gpu(60));
  EXPECT_EQ(p.timeline.cut, "");
  std::map<std::uint32_t, std::vector<TimelineSpan>> requests;
  std::vector<TimelineSpan> steps;
  for (const TimelineSpan& span : p.timeline.spans) {
    if (p.timeline.lanes[span.lane].group.ends_with("requests")) {
      requests[span.lane].push_back(span);
    } else {
      steps.push_back(span);
    }
  }
  ASSERT_EQ(requests.size(), 60u);
  std::vector<double> ttft;
  std::vector<double> latency;
  for (const auto& [lane, spans] : requests) {
    ASSERT_EQ(spans.front().kind, SpanKind::kArrival);
    const Seconds arrival = spans.front().start;
    Seconds at = arrival;
    Seconds first{0};
    for (std::size_t i = 1; i < spans.size(); ++i) {
      EXPECT_NEAR(spans[i].start.count(), at.count(), 1e-12);  // queued, prefill, decode without a gap
      at = spans[i].end();
      if (spans[i].kind == SpanKind::kPrefill) first = at;
    }
    ttft.push_back((first - arrival).count());
    latency.push_back((at - arrival).count());
  }
  EXPECT_NEAR(quantile(ttft, 0.5), p.record.metrics.at("ttft_s").p50, 1e-9);
  EXPECT_NEAR(quantile(latency, 0.5), p.record.metrics.at("e2e_latency_s").p50, 1e-9);
  // One stage: steps follow each other.
  for (std::size_t i = 1; i < steps.size(); ++i) EXPECT_GE(steps[i].start, steps[i - 1].end());
}

TEST(ServingTimeline, OfManyRequestsTheFirstAreShownAndTheRestIsSaid) {
  const Predicted p = predicted(one_gpu(300));
  EXPECT_NE(p.timeline.cut.find("the first 200 of 300 requests"), std::string::npos) << p.timeline.cut;
  EXPECT_EQ(p.timeline.lanes.size(), 201u);
  EXPECT_LE(p.timeline.spans.size(), kMostSpans);
}

// Behind a router that looks at load a replica serves what it was dealt, which is known by serving its whole cell.
TEST(ServingTimeline, OfACellOneReplicaIsShownWithWhatItWasDealt) {
  Scenario scenario = one_gpu(80);
  scenario.cluster.pools.front().nodes = 4;
  scenario.plan.groups.front().replicas = 4;
  scenario.plan.routing.policy = RoutingPolicy::kLeastOutstanding;
  const Predicted p = predicted(scenario);
  std::size_t requests = 0;
  for (const TimelineLane& lane : p.timeline.lanes) requests += lane.group.ends_with("requests") ? 1 : 0;
  EXPECT_GT(requests, 10u);
  EXPECT_LT(requests, 30u);  // least load: about 80 / 4
  EXPECT_NE(p.timeline.cut.find("one of 4 replicas"), std::string::npos) << p.timeline.cut;
}

TEST(ServingTimeline, LookingChangesNothing) {
  PredictOptions options;
  options.draws = 0;
  EXPECT_EQ(predict(one_gpu(40), {}, options), predicted(one_gpu(40)).record);
}

TEST(ServingTimeline, TheClosedRungHasNone) {
  EXPECT_THROW(predicted(one_gpu(10), Fidelity::kClosed), Error);
}

}  // namespace
}  // namespace lindos::sim
