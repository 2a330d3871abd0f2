// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/router.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::scheduler {
namespace {

// Unfinished requests of each replica.
using Loads = std::vector<std::vector<std::int64_t>>;

Router router_with(RoutingPolicy policy, std::vector<ReplicaClass> classes, double bound = 1.25) {
  Routing routing;
  routing.policy = policy;
  routing.load_bound = bound;
  return Router(routing, std::move(classes), 7);
}

RequestSpec request(std::uint64_t id, std::uint64_t prefix = 0) {
  RequestSpec spec;
  spec.id = id;
  spec.prefix = prefix;
  return spec;
}

Router::Outstanding looking_at(const Loads& loads) {
  return [&loads](const Target& t) { return loads[t.group][static_cast<std::size_t>(t.replica)]; };
}

std::vector<ReplicaClass> any_classes() {
  std::vector<ReplicaClass> classes;
  const int count = *rc::gen::inRange(1, 4);
  for (int c = 0; c < count; ++c) classes.push_back({*rc::gen::inRange(1, 8) * 0.5, *rc::gen::inRange(1, 6)});
  return classes;
}

Loads any_loads(const std::vector<ReplicaClass>& classes) {
  Loads loads;
  for (const ReplicaClass& c : classes)
    loads.push_back(*rc::gen::container<std::vector<std::int64_t>>(static_cast<std::size_t>(c.replicas),
                                                                  rc::gen::inRange<std::int64_t>(0, 20)));
  return loads;
}

TEST(Router, RoundRobinSpreadsEachClassOverItsTurns) {
  // Weights 1 × 2 replicas and 3 × 1: credits after each turn of (2, 3), the richest paying 5: b (2,−2), a (−1,1),
  // b (1,−1), a (−2,2), b (0,0).
  Router router = router_with(RoutingPolicy::kWeightedRoundRobin, {{1.0, 2}, {3.0, 1}});
  std::vector<std::pair<std::size_t, std::int64_t>> turns;
  for (std::uint64_t i = 0; i < 5; ++i) {
    const Target t = router.route(request(i), {});
    turns.emplace_back(t.group, t.replica);
  }
  const std::vector<std::pair<std::size_t, std::int64_t>> expected{{1, 0}, {0, 0}, {1, 0}, {0, 1}, {1, 0}};
  EXPECT_EQ(turns, expected);
}

TEST(Router, RandomFollowsTheWeights) {
  // 20,000 draws; the share of each of 2 light replicas is 1/8 and of each of 2 heavy ones 3/8. Standard deviation
  // of a count √(n p (1 − p)) ≤ 69; five of them.
  Router router = router_with(RoutingPolicy::kRandom, {{1.0, 2}, {3.0, 2}, {0.0, 5}});
  std::map<std::pair<std::size_t, std::int64_t>, int> counts;
  constexpr int kDraws = 20'000;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const Target t = router.route(request(i), {});
    ++counts[{t.group, t.replica}];
  }
  ASSERT_EQ(counts.size(), 4U);
  for (const auto& [replica, count] : counts)
    EXPECT_NEAR(count, kDraws * (replica.first == 0 ? 0.125 : 0.375), 350.0);
}

RC_GTEST_PROP(Router, LeastOutstandingTakesTheLeastLoadPerWeight, ()) {
  const std::vector<ReplicaClass> classes = any_classes();
  const Loads loads = any_loads(classes);
  Router router = router_with(RoutingPolicy::kLeastOutstanding, classes);
  const Target chosen = router.route(request(0), looking_at(loads));
  const auto load = [&](std::size_t c, std::size_t r) {
    return static_cast<double>(loads[c][r] + 1) / classes[c].weight;
  };
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (std::size_t r = 0; r < loads[c].size(); ++r)
      RC_ASSERT(load(chosen.group, static_cast<std::size_t>(chosen.replica)) <= load(c, r));
  }
}

TEST(Router, EquallyLoadedReplicasTakeTurns) {
  const Loads idle{{0, 0, 0}};
  Router router = router_with(RoutingPolicy::kLeastOutstanding, {{1.0, 3}});
  std::vector<std::int64_t> turns;
  for (std::uint64_t i = 0; i < 6; ++i) turns.push_back(router.route(request(i), looking_at(idle)).replica);
  EXPECT_EQ(turns, (std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}));
}

// n balls into n bins: the fullest holds about ln n / ln ln n = 3.6 … by one choice (6 to 8 at n = 1,000) and
// log2 ln n = 2.8 by the better of two (3 to 4).
TEST(Router, TwoChoicesLevelTheFullestReplica) {
  constexpr std::size_t kReplicas = 1'000;
  const auto fullest = [](RoutingPolicy policy) {
    Loads loads{std::vector<std::int64_t>(kReplicas, 0)};
    Router router = router_with(policy, {{1.0, kReplicas}});
    for (std::uint64_t i = 0; i < kReplicas; ++i)
      ++loads[0][static_cast<std::size_t>(router.route(request(i), looking_at(loads)).replica)];
    return *std::max_element(loads[0].begin(), loads[0].end());
  };
  EXPECT_LE(fullest(RoutingPolicy::kPowerOfTwo), 4);
  EXPECT_GE(fullest(RoutingPolicy::kRandom), 5);
}

TEST(Router, TwoChoicesOfTwoReplicasAlwaysTakeTheLighter) {
  Router router = router_with(RoutingPolicy::kPowerOfTwo, {{1.0, 2}});
  const Loads loads{{3, 1}};
  for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(router.route(request(i), looking_at(loads)).replica, 1);
}

TEST(Router, AnOnlyReplicaIsChosenByEveryPolicy) {
  const Loads loads{{40}, {0}};
  for (const RoutingPolicy policy : kRoutingPolicies) {
    Router router = router_with(policy, {{1.0, 1}, {0.0, 1}});
    EXPECT_EQ(router.route(request(3, 9), looking_at(loads)), (Target{0, 0})) << name_of(policy);
  }
}

RC_GTEST_PROP(Router, PrefixAffinityKeepsThePrefixWithinTheBound, ()) {
  const std::vector<ReplicaClass> classes = any_classes();
  const Loads loads = any_loads(classes);
  const auto prefix = *rc::gen::inRange<std::uint64_t>(1, 1'000'000);
  const double bound = 1.0 + 0.25 * *rc::gen::inRange(0, 5);
  Router router = router_with(RoutingPolicy::kPrefixAffinity, classes, bound);
  const Target chosen = router.route(request(0, prefix), looking_at(loads));
  double unfinished = 0.0;
  double weight = 0.0;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    weight += classes[c].weight * static_cast<double>(classes[c].replicas);
    for (const std::int64_t n : loads[c]) unfinished += static_cast<double>(n);
  }
  const std::int64_t own = loads[chosen.group][static_cast<std::size_t>(chosen.replica)];
  // With whole requests the least loaded may itself be above the bound, and then it is taken.
  double least = HUGE_VAL;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    for (const std::int64_t n : loads[c]) least = std::min(least, static_cast<double>(n + 1) / classes[c].weight);
  }
  const double load = static_cast<double>(own + 1) / classes[chosen.group].weight;
  const double limit = bound * (unfinished + 1.0) / weight;
  RC_ASSERT(own == 0 || load <= std::max(least, limit) * (1.0 + 1e-12));
  // Equally loaded ones take turns where none is within the bound.
  if (own == 0 || load <= limit) RC_ASSERT(router.route(request(1, prefix), looking_at(loads)) == chosen);
}

TEST(Router, PrefixesSpreadByWeightWhereNobodyIsLoaded) {
  // As RandomFollowsTheWeights.
  const Loads idle{{0, 0}, {0, 0}};
  Router router = router_with(RoutingPolicy::kPrefixAffinity, {{1.0, 2}, {3.0, 2}});
  std::map<std::pair<std::size_t, std::int64_t>, int> counts;
  constexpr int kPrefixes = 20'000;
  for (std::uint64_t p = 1; p <= kPrefixes; ++p) {
    const Target t = router.route(request(p, p), looking_at(idle));
    ++counts[{t.group, t.replica}];
  }
  for (const auto& [replica, count] : counts)
    EXPECT_NEAR(count, kPrefixes * (replica.first == 0 ? 0.125 : 0.375), 350.0);
}

}  // namespace
}  // namespace lindos::scheduler
