// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/admission.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::scheduler {
namespace {

RateLimit limit(double rate, std::int64_t burst) { return {Hertz(rate), burst}; }

std::vector<Tenant> tenants(const std::vector<std::string>& names) {
  std::vector<Tenant> out;
  for (const std::string& name : names) out.push_back({name, 1.0});
  return out;
}

RequestSpec asks(std::int64_t prompt, std::int64_t output, std::uint32_t tenant = 0, int priority = 0) {
  RequestSpec request;
  request.prompt_tokens = prompt;
  request.output_tokens = output;
  request.tenant = tenant;
  request.priority = priority;
  return request;
}

// Nothing is unfinished.
bool admits(AdmissionControl& control, const RequestSpec& request, double now) {
  return control.admits(request, Seconds(now), [] { return AdmissionControl::Unfinished{}; });
}

// 2 requests/s, burst 3, by hand: full with 3 at 0, which three requests take; 0.5 s later it holds 1; at 0.75 s, of
// what is left, 0.5; at 1 s 1; untouched until 10 s it holds 3, not 19.
TEST(Admission, ABucketByHand) {
  AdmissionLimits limits;
  limits.tenants = {{"a", limit(2.0, 3), {}}};
  AdmissionControl control(limits, tenants({"a"}));
  const std::vector<std::pair<double, bool>> expected = {{0.0, true},  {0.0, true},   {0.0, true},  {0.0, false},
                                                         {0.5, true},  {0.75, false}, {1.0, true},  {1.0, false},
                                                         {10.0, true}, {10.0, true},  {10.0, true}, {10.0, false}};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(admits(control, asks(1, 1), expected[i].first), expected[i].second) << "ask " << i;
}

// 100 tokens/s, burst 300, prompt + output counted: 200 + 50 leave 50; a request of 60 has to wait 0.1 s; one of 301 is
// never let in, however full the bucket.
TEST(Admission, TokensCountAsAsked) {
  AdmissionLimits limits;
  limits.tenants = {{"a", {}, limit(100.0, 300)}};
  AdmissionControl control(limits, tenants({"a"}));
  EXPECT_TRUE(admits(control, asks(200, 50), 0.0));
  EXPECT_FALSE(admits(control, asks(40, 20), 0.0));
  EXPECT_FALSE(admits(control, asks(40, 20), 0.09));
  EXPECT_TRUE(admits(control, asks(40, 20), 0.11));
  EXPECT_FALSE(admits(control, asks(300, 1), 1e6));
  EXPECT_TRUE(admits(control, asks(299, 1), 1e6));
}

// What one bucket refuses is not taken from the other.
TEST(Admission, ARefusalTakesNothing) {
  AdmissionLimits limits;
  limits.tenants = {{"a", limit(0.001, 1), limit(0.001, 100)}};
  limits.unfinished.replica = 1;
  AdmissionControl control(limits, tenants({"a"}));
  EXPECT_FALSE(admits(control, asks(100, 1), 0.0));  // too many tokens
  const auto full = [] { return AdmissionControl::Unfinished{1, 1}; };
  EXPECT_FALSE(control.admits(asks(50, 1), Seconds(0), full));
  EXPECT_TRUE(admits(control, asks(50, 1), 0.0));
  EXPECT_FALSE(admits(control, asks(1, 1), 0.0)) << "the one request of the burst is taken";
}

TEST(Admission, TenantsHaveBucketsOfTheirOwn) {
  AdmissionLimits limits;
  limits.tenants = {{"b", limit(1.0, 1), {}}};
  AdmissionControl control(limits, tenants({"a", "b", "c"}));
  EXPECT_TRUE(admits(control, asks(1, 1, 1), 0.0));
  EXPECT_FALSE(admits(control, asks(1, 1, 1), 0.0));
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(admits(control, asks(1, 1, 0), 0.0));
    EXPECT_TRUE(admits(control, asks(1, 1, 2), 0.0));
  }
}

// A quarter of 4 requests/s, and the whole burst of 2.
TEST(Admission, ARouterHasItsPartOfTheRate) {
  AdmissionLimits limits;
  limits.tenants = {{"a", limit(4.0, 2), {}}};
  AdmissionControl control(limits, tenants({"a"}), 0.25);
  EXPECT_TRUE(admits(control, asks(1, 1), 0.0));
  EXPECT_TRUE(admits(control, asks(1, 1), 0.0));
  EXPECT_FALSE(admits(control, asks(1, 1), 0.99));
  EXPECT_TRUE(admits(control, asks(1, 1), 1.0));
  EXPECT_FALSE(admits(control, asks(1, 1), 1.99));
}

TEST(Admission, BoundsTurnAwayWhatComesOnTop) {
  AdmissionLimits limits;
  limits.unfinished = {4, 10};
  AdmissionControl control(limits, {});
  const auto at = [&](std::int64_t replica, std::int64_t router) {
    return control.admits(asks(1, 1), Seconds(0), [&] { return AdmissionControl::Unfinished{replica, router}; });
  };
  EXPECT_TRUE(at(3, 9));
  EXPECT_FALSE(at(4, 4));
  EXPECT_FALSE(at(0, 10));
}

// Priorities up to 0 are bounded by 2, up to 5 by 6, higher ones by 8.
TEST(Admission, LowPrioritiesGoFirst) {
  AdmissionLimits limits;
  limits.unfinished.replica = 8;
  limits.priorities = {{0, {2, 0}}, {5, {6, 0}}};
  AdmissionControl control(limits, {});
  const auto at = [&](int priority, std::int64_t replica) {
    return control.admits(asks(1, 1, 0, priority), Seconds(0),
                          [&] { return AdmissionControl::Unfinished{replica, replica}; });
  };
  for (const auto& [priority, bound] : {std::pair{-3, 2}, {0, 2}, {1, 6}, {5, 6}, {6, 8}}) {
    EXPECT_TRUE(at(priority, bound - 1)) << priority;
    EXPECT_FALSE(at(priority, bound)) << priority;
  }
}

// However it is asked, no window lets more than burst + rate × length in; and what is refused did not fit.
RC_GTEST_PROP(Admission, NoWindowLetsMoreThanBurstAndRateIn, ()) {
  const double rate = *rc::gen::inRange(1, 1000) / 10.0;
  const std::int64_t burst = *rc::gen::inRange(1, 200);
  const auto asked = *rc::gen::container<std::vector<std::pair<int, int>>>(
      rc::gen::pair(rc::gen::inRange(0, 5000), rc::gen::inRange(1, 120)));
  TokenBucket bucket({Hertz(rate), burst}, 1.0);
  std::vector<std::pair<double, double>> taken;  // when, how much
  double now = 0.0;
  for (const auto& [gap_ms, amount] : asked) {
    now += gap_ms * 1e-3;
    if (!bucket.holds(amount, Seconds(now))) {
      // Some window that ends now would be too full.
      double most = static_cast<double>(amount) - static_cast<double>(burst);
      double sum = amount;
      for (auto t = taken.rbegin(); t != taken.rend(); ++t) {
        sum += t->second;
        most = std::max(most, sum - static_cast<double>(burst) - rate * (now - t->first));
      }
      RC_ASSERT(most > -1e-6);
      continue;
    }
    bucket.take(amount, Seconds(now));
    taken.push_back({now, amount});
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    double sum = 0.0;
    for (std::size_t j = i; j < taken.size(); ++j) {
      sum += taken[j].second;
      RC_ASSERT(sum <= static_cast<double>(burst) + rate * (taken[j].first - taken[i].first) + 1e-6);
    }
  }
}

}  // namespace
}  // namespace lindos::scheduler
