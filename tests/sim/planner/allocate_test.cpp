// SPDX-License-Identifier: Apache-2.0
// The solver's answer against all answers, where there are few.
#include "sim/planner/allocate.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace lindos::sim {
namespace {

struct Sum {
  double rate = 0.0;      // of those that decode
  double prompts = 0.0;   // of those that compute prompts alone
  double apart = 0.0;     // of those that decode alone
  double power = 0.0;
  double cost = 0.0;
};

Sum sum_of(const std::vector<ReplicaKind>& kinds, const std::vector<std::int64_t>& replicas) {
  Sum sum;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const double rate = kinds[i].rate * static_cast<double>(replicas[i]);
    (kinds[i].role == Role::kPrefill ? sum.prompts : sum.rate) += rate;
    if (kinds[i].role == Role::kDecode) sum.apart += rate;
    sum.power += kinds[i].added.value() * static_cast<double>(replicas[i]);
    sum.cost += kinds[i].cost * static_cast<double>(replicas[i]);
  }
  return sum;
}

bool allowed(const std::vector<ReplicaKind>& kinds, const std::vector<std::int64_t>& replicas,
             const AllocationLimits& limits) {
  std::vector<std::int64_t> devices(limits.devices.size(), 0);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    devices[kinds[i].pool] += kinds[i].devices * replicas[i];
    if (kinds[i].other) devices[kinds[i].other->pool] += kinds[i].other->devices * replicas[i];
  }
  for (std::size_t p = 0; p < devices.size(); ++p) {
    if (devices[p] > limits.devices[p]) return false;
  }
  const Sum sum = sum_of(kinds, replicas);
  return (!limits.added || sum.power <= limits.added->value() + 1e-6) && sum.rate >= limits.demand - 1e-6 &&
         sum.apart <= sum.prompts + 1e-6;
}

// The best value over all answers: the highest rate, or the least cost for a demand.
std::optional<double> brute_force(const std::vector<ReplicaKind>& kinds, const AllocationLimits& limits) {
  std::optional<double> best;
  std::vector<std::int64_t> replicas(kinds.size(), 0);
  while (true) {
    if (allowed(kinds, replicas, limits)) {
      const Sum sum = sum_of(kinds, replicas);
      const double value = limits.demand > 0.0 ? -sum.cost : sum.rate;
      if (!best || value > *best) best = value;
    }
    std::size_t i = 0;
    while (i < kinds.size() && ++replicas[i] > kinds[i].most(limits.devices)) replicas[i++] = 0;
    if (i == kinds.size()) return best;
  }
}

// Pool 0: 8 devices as 2 × 4 at rate 3 or 8 × 1 at rate 0.5; pool 1: 3 devices of rate 1.
TEST(Allocate, TakesTheBetterShapeOfEachPool) {
  const std::vector<ReplicaKind> kinds = {{0, 4, 3.0, Watts(100)}, {0, 1, 0.5, Watts(20)}, {1, 1, 1.0, Watts(30)}};
  const auto replicas = allocate(kinds, {{8, 3}, std::nullopt, 0.0});
  ASSERT_TRUE(replicas);
  EXPECT_EQ(*replicas, (std::vector<std::int64_t>{2, 0, 3}));
}

// 5 of the one and 3 of the other: 2 + 1 of them together bear more than alone, as often as the second pool allows.
TEST(Allocate, ReplicasThatSpanTwoPoolsTakeDevicesOfBoth) {
  std::vector<ReplicaKind> kinds = {{0, 1, 1.0, Watts(10)}, {1, 1, 1.0, Watts(10)}, {0, 2, 4.0, Watts(30)}};
  kinds[2].other = PoolUse{1, 1};
  EXPECT_EQ(allocate(kinds, {{5, 3}, std::nullopt, 0.0}), (std::vector<std::int64_t>{1, 1, 2}));
}

// 150 W: one large replica (3 for 100 W) and one of pool 1 (1 for 30 W); a second large one does not fit.
TEST(Allocate, KeepsThePowerLimit) {
  const std::vector<ReplicaKind> kinds = {{0, 4, 3.0, Watts(100)}, {0, 1, 0.5, Watts(20)}, {1, 1, 1.0, Watts(30)}};
  const auto replicas = allocate(kinds, {{8, 3}, Watts(150), 0.0});
  ASSERT_TRUE(replicas);
  EXPECT_LE(sum_of(kinds, *replicas).power, 150.0);
  EXPECT_NEAR(sum_of(kinds, *replicas).rate, 4.5, 1e-9);  // 3 + 1 + 0.5 for 150 W
}

// 6 devices: both at once serve 6 × 1; one that computes prompts for four that decode, 4 × 2 for 5 devices, and one of the first.
TEST(Allocate, DecodesNoMoreThanThePromptsThatAreComputed) {
  std::vector<ReplicaKind> kinds = {{0, 1, 1.0, Watts(10)}, {0, 1, 8.0, Watts(10)}, {0, 1, 2.0, Watts(10)}};
  kinds[1].role = Role::kPrefill;
  kinds[2].role = Role::kDecode;
  const auto replicas = allocate(kinds, {{6}, std::nullopt, 0.0});
  ASSERT_TRUE(replicas);
  EXPECT_EQ(*replicas, (std::vector<std::int64_t>{1, 1, 4}));
}

// The same rate at half the power: taken where power is scarce, and not where it is not.
TEST(Allocate, HoldsBackOnlyWhereItGains) {
  const std::vector<ReplicaKind> kinds = {{0, 1, 1.0, Watts(100)}, {0, 1, 1.0, Watts(50)}};
  EXPECT_EQ(allocate(kinds, {{4}, std::nullopt, 0.0}), (std::vector<std::int64_t>{4, 0}));
  EXPECT_EQ(allocate(kinds, {{4}, Watts(400), 0.0}), (std::vector<std::int64_t>{4, 0}));
  EXPECT_EQ(allocate(kinds, {{4}, Watts(200), 0.0}), (std::vector<std::int64_t>{0, 4}));
}

TEST(Allocate, ADemandOutOfReachHasNoAnswer) {
  EXPECT_FALSE(allocate({{0, 4, 3.0, Watts(100)}}, {{8}, std::nullopt, 7.0}));
  EXPECT_FALSE(allocate({{0, 4, 3.0, Watts(100)}}, {{8}, Watts(100), 6.0}));
  EXPECT_FALSE(allocate({}, {{8}, std::nullopt, 0.0}));
}

RC_GTEST_PROP(Allocate, EqualsBruteForce, ()) {
  std::vector<ReplicaKind> kinds;
  AllocationLimits limits;
  const std::size_t pools = *rc::gen::inRange<std::size_t>(1, 4);
  for (std::size_t p = 0; p < pools; ++p) {
    limits.devices.push_back(*rc::gen::inRange<std::int64_t>(1, 9));
    const int shapes = *rc::gen::inRange(1, 3);
    for (int s = 0; s < shapes; ++s) {
      kinds.push_back({p, *rc::gen::inRange<std::int64_t>(1, 4), *rc::gen::inRange(1, 40) * 0.25,
                       Watts(*rc::gen::inRange(0, 50) * 10.0), *rc::gen::inRange(0, 40) * 0.5,
                       *rc::gen::element(Role::kBoth, Role::kPrefill, Role::kDecode)});
    }
  }
  // One that spans two pools.
  if (pools > 1 && *rc::gen::arbitrary<bool>()) {
    ReplicaKind over = kinds.front();
    over.rate = *rc::gen::inRange(1, 80) * 0.25;
    over.role = *rc::gen::element(Role::kBoth, Role::kPrefill, Role::kDecode);
    over.other = PoolUse{*rc::gen::inRange<std::size_t>(1, pools), *rc::gen::inRange<std::int64_t>(1, 4)};
    kinds.push_back(over);
  }
  if (*rc::gen::arbitrary<bool>()) limits.added = Watts(*rc::gen::inRange(0, 300) * 10.0);
  if (*rc::gen::arbitrary<bool>()) limits.demand = *rc::gen::inRange(1, 80) * 0.25;
  const auto best = brute_force(kinds, limits);
  const auto replicas = allocate(kinds, limits);
  RC_ASSERT(replicas.has_value() == best.has_value());
  if (!best) return;
  RC_ASSERT(allowed(kinds, *replicas, limits));
  const Sum sum = sum_of(kinds, *replicas);
  const double value = limits.demand > 0.0 ? -sum.cost : sum.rate;
  RC_ASSERT(std::abs(value - *best) <= 1e-4 * (1.0 + std::abs(*best)));
}

}  // namespace
}  // namespace lindos::sim
