// SPDX-License-Identifier: Apache-2.0
#include "scenarios/timeline.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos {
namespace {

RequestTimeline served(std::uint64_t id, double arrival, const std::vector<double>& tokens) {
  RequestTimeline timeline;
  timeline.id = id;
  timeline.arrival = Seconds{arrival};
  timeline.prompt_tokens = 8;
  for (const double t : tokens) timeline.token_times.emplace_back(t);
  return timeline;
}

// Two requests:
//   A arrives 1.0, tokens at 1.5, 1.7, 1.9  → TTFT 0.5, TPOT (1.9 − 1.5)/2 = 0.2, E2E 0.9
//   B arrives 2.0, tokens at 2.1, 2.5       → TTFT 0.1, TPOT 0.4, E2E 0.5
// Medians of two are the means: 0.3, 0.3, 0.7. Makespan 2.5 − 1.0 = 1.5 s; 5 tokens, 2 requests.
const std::vector<RequestTimeline> kTwo = {served(0, 1.0, {1.5, 1.7, 1.9}),
                                           served(1, 2.0, {2.1, 2.5})};

TEST(Timeline, SummaryByHand) {
  const ServingSummary summary = summarise(kTwo, Slo{});
  EXPECT_NEAR(summary.ttft.count(), 0.3, 1e-12);
  EXPECT_NEAR(summary.tpot.count(), 0.3, 1e-12);
  EXPECT_NEAR(summary.e2e_latency.count(), 0.7, 1e-12);
  EXPECT_NEAR(summary.makespan.count(), 1.5, 1e-12);
  EXPECT_NEAR(summary.output_tokens_per_s, 5 / 1.5, 1e-12);
  EXPECT_NEAR(summary.requests_per_s, 2 / 1.5, 1e-12);
  EXPECT_EQ(summary.goodput, 1.0);  // no promise was made
}

TEST(Timeline, GoodputNeedsBothPromisesKept) {
  const auto goodput = [](double ttft, double tpot) {
    return summarise(kTwo, Slo{Seconds{ttft}, Seconds{tpot}, 0.5}).goodput;
  };
  EXPECT_EQ(goodput(0.3, 0.0), 0.5);  // only B is early enough
  EXPECT_EQ(goodput(0.0, 0.3), 0.5);  // only A is quick enough
  EXPECT_EQ(goodput(0.3, 0.3), 0.0);  // nobody is both
  EXPECT_EQ(goodput(0.6, 0.5), 1.0);
}

TEST(Timeline, ARequestOfOneTokenHasNoPace) {
  const ServingSummary alone = summarise({served(0, 0.0, {1.0})}, Slo{Seconds{0}, Seconds{1e-9}, 0.5});
  EXPECT_EQ(alone.tpot.count(), 0.0);
  EXPECT_EQ(alone.goodput, 1.0);
  std::vector<RequestTimeline> three = kTwo;
  three.push_back(served(2, 2.0, {2.1}));
  EXPECT_NEAR(summarise(three, Slo{}).tpot.count(), 0.3, 1e-12);
}

// Of four requests one is turned away and one late: it is asked and not kept, and in no latency.
TEST(Timeline, WhatIsTurnedAwayIsAskedAndNotKept) {
  std::vector<RequestTimeline> four = kTwo;
  four.push_back(served(2, 0.0, {}));
  four.push_back(served(3, 0.5, {9.5}));
  const ServingSummary summary = summarise(four, Slo{Seconds{1}, Seconds{0}, 0.5});
  EXPECT_EQ(summary.answered, 3U);
  EXPECT_EQ(summary.goodput, 0.5);
  EXPECT_EQ(summary.rejected_share, 0.25);
  EXPECT_NEAR(summary.requests_per_s, 3.0 / summary.makespan.count(), 1e-12);
  std::vector<RequestTimeline> answered = four;
  answered.erase(answered.begin() + 2);
  EXPECT_EQ(summary.ttft, summarise(answered, Slo{}).ttft);
  EXPECT_EQ(summarise({served(0, 0.0, {})}, Slo{}).answered, 0U);
  EXPECT_EQ(summarise({served(0, 0.0, {})}, Slo{}).goodput, 0.0);
}

// Two tenants: rates over everybody's time, so that they add up; promises of their own.
TEST(Timeline, TenantsAddUp) {
  std::vector<RequestTimeline> requests = kTwo;
  requests[1].tenant = 2;
  requests.push_back(served(2, 0.0, {}));
  requests.back().tenant = 2;
  Promises promises{Slo{}, {Slo{}, Slo{}, Slo{Seconds{1e-9}, Seconds{0}, 0.5}}};
  const ServingSummary all = summarise(requests, promises);
  const auto tenants = summarise_tenants(requests, promises, all.makespan);
  ASSERT_EQ(tenants.size(), 3U);
  ASSERT_TRUE(tenants[0] && tenants[2]);
  EXPECT_FALSE(tenants[1]) << "asked nothing";
  EXPECT_NEAR(tenants[0]->output_tokens_per_s + tenants[2]->output_tokens_per_s, all.output_tokens_per_s, 1e-12);
  EXPECT_NEAR(tenants[0]->requests_per_s + tenants[2]->requests_per_s, all.requests_per_s, 1e-12);
  EXPECT_EQ(tenants[0]->goodput, 1.0);
  EXPECT_EQ(tenants[2]->goodput, 0.0);
  EXPECT_EQ(tenants[2]->rejected_share, 0.5);
  EXPECT_NEAR(all.goodput, 1.0 / 3.0, 1e-12);
  EXPECT_TRUE(summarise_tenants(requests, Promises{}, all.makespan).empty());
}

// Type 7 of {1, 2, 3, 4}: position 3q.
TEST(Timeline, QuantileByHand) {
  const std::vector<double> values = {4, 1, 3, 2};
  EXPECT_EQ(quantile(values, 0.0), 1.0);
  EXPECT_EQ(quantile(values, 0.5), 2.5);
  EXPECT_NEAR(quantile(values, 0.9), 3.7, 1e-12);
  EXPECT_EQ(quantile(values, 1.0), 4.0);
  EXPECT_EQ(quantile({7.0}, 0.3), 7.0);
}

RC_GTEST_PROP(TimelineProperty, QuantileIsMonotoneAndInside, ()) {
  const auto ints = *rc::gen::nonEmpty(rc::gen::arbitrary<std::vector<int>>());
  const std::vector<double> values(ints.begin(), ints.end());
  const double low = *rc::gen::inRange(0, 101) / 100.0;
  const double high = *rc::gen::inRange(0, 101) / 100.0;
  RC_ASSERT(quantile(values, std::min(low, high)) <= quantile(values, std::max(low, high)));
  RC_ASSERT(quantile(values, 0.0) == *std::min_element(values.begin(), values.end()));
  RC_ASSERT(quantile(values, 1.0) == *std::max_element(values.begin(), values.end()));
}

RC_GTEST_PROP(TimelineProperty, OrderOfRequestsDoesNotMatter, ()) {
  const auto seeds =
      *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 1000)));
  std::vector<RequestTimeline> timelines;
  for (const int s : seeds) {
    const double arrival = s * 0.01;
    timelines.push_back(
        served(timelines.size(), arrival, {arrival + 0.5, arrival + 0.5 + 0.001 * (1 + s % 7)}));
  }
  std::vector<RequestTimeline> reversed(timelines.rbegin(), timelines.rend());
  const Slo slo{Seconds{0.6}, Seconds{0.004}, 0.5};
  const ServingSummary a = summarise(timelines, slo);
  const ServingSummary b = summarise(reversed, slo);
  RC_ASSERT(a.ttft == b.ttft && a.tpot == b.tpot && a.e2e_latency == b.e2e_latency);
  RC_ASSERT(a.goodput == b.goodput && a.makespan == b.makespan);
}

}  // namespace
}  // namespace lindos
