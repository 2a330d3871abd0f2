// SPDX-License-Identifier: Apache-2.0
#include "scenarios/workload.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "scenarios/error.h"
#include "scenarios/philox.h"

namespace lindos {
namespace {

using ::testing::HasSubstr;

ServingWorkload poisson(std::int64_t requests, double rate) {
  ServingWorkload workload;
  workload.requests = requests;
  workload.arrival = Arrival::kPoisson;
  workload.rate = Hertz{rate};
  workload.prompt = {16, 1024};
  workload.output = {1, 128};
  return workload;
}

// Known answers published with the authors' Random123 library (kat_vectors, philox4x32, 10 rounds).
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Workload, TogetherArrivesAtZero) {
  ServingWorkload workload;
  workload.requests = 3;
  workload.prompt = {7, 7};
  workload.output = {5, 5};
  const auto requests = generate_requests(workload, 1);
  ASSERT_EQ(requests.size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(requests[i], (RequestSpec{i, Seconds{0}, 7, 5}));
  }
}

TEST(Workload, AClosedLoopSendsOneRequestPerClientAndTheRestOnCompletion) {
  ServingWorkload workload;
  workload.requests = 5;
  workload.arrival = Arrival::kClosedLoop;
  workload.concurrency = 2;
  workload.prompt = {7, 7};
  workload.output = {5, 5};
  const auto requests = generate_requests(workload, 1);
  ASSERT_EQ(requests.size(), 5U);
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(requests[i], (RequestSpec{i, Seconds{0}, 7, 5, i >= 2}));
  }
}

// 3 requests a second: 0, 333,333 us, 666,667 us, 1 s; the third of a microsecond does not add up.
TEST(Workload, UniformArrivalsAreEquallySpacedToTheMicrosecond) {
  ServingWorkload workload = poisson(4, 3.0);
  workload.arrival = Arrival::kUniform;
  const auto requests = generate_requests(workload, 1);
  EXPECT_EQ(requests[0].arrival.count(), 0.0);
  EXPECT_EQ(requests[1].arrival.count(), 0.333333);
  EXPECT_EQ(requests[2].arrival.count(), 0.666667);
  EXPECT_EQ(requests[3].arrival.count(), 1.0);
}

// The generator's logarithm is integer arithmetic; here it is held to the C library's: the gap of
// request i is −ln(u)/rate with u from the same Philox word, to within the microsecond of the
// quantisation.
TEST(Workload, PoissonGapsAreExponential) {
  constexpr double kRate = 0.01;  // long gaps show more digits
  const auto requests = generate_requests(poisson(2000, kRate), 42);
  for (std::uint64_t id = 1; id < requests.size(); ++id) {
    const std::uint32_t word = philox({static_cast<std::uint32_t>(id), 0, 0, 0}, {42, 0})[1];
    const double u = (word | 1U) / 4294967296.0;
    const double expected = -std::log(u) / kRate;
    const double gap = (requests[id].arrival - requests[id - 1].arrival).count();
    ASSERT_NEAR(gap, expected, 1.5e-6) << "request " << id;
  }
}

// The same requests on every platform. Numbers from a Python program of its own: Philox words of
// (request, draw) under key seed, gap = round(−ln((word | 1)/2^32)/2.5 s in us), length = low +
// ⌊u53 · count⌋.
TEST(Workload, TheRequestsOfASeedNeverChange) {
  const std::vector<RequestSpec> expected = {
      {0, Seconds{0.0}, 189, 29},      {1, Seconds{0.091622}, 873, 45},
      {2, Seconds{2.00091}, 683, 94},  {3, Seconds{2.555222}, 493, 50},
      {4, Seconds{2.559406}, 686, 70}, {5, Seconds{2.995379}, 272, 87}};
  EXPECT_EQ(generate_requests(poisson(6, 2.5), 7), expected);
}

// Groups from the same Python program: low half of the first word of (request, 2, 0), modulo 4.
TEST(Workload, TheGroupsOfASeedNeverChange) {
  ServingWorkload workload = poisson(12, 2.5);
  workload.shared_prefix = 15;
  workload.prefix_groups = 4;
  const std::vector<std::uint64_t> expected = {1, 1, 1, 1, 1, 0, 1, 3, 0, 3, 2, 3};
  const auto requests = generate_requests(workload, 7);
  const auto apart = generate_requests(poisson(12, 2.5), 7);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(*requests[i].beginning, (PromptBeginning{15, {expected[i]}})) << i;
    EXPECT_EQ(requests[i].prefix, expected[i] + 1);
    // All else is as without.
    EXPECT_EQ(requests[i].arrival, apart[i].arrival);
    EXPECT_EQ(requests[i].prompt_tokens, apart[i].prompt_tokens);
    EXPECT_EQ(requests[i].output_tokens, apart[i].output_tokens);
    EXPECT_EQ(apart[i].beginning, nullptr);
  }
}

// 8,000 draws of 4: each group's share has a standard deviation of 0.0048.
TEST(Workload, GroupsAreEquallyLikely) {
  ServingWorkload workload = poisson(8000, 2.5);
  workload.shared_prefix = 1;
  workload.prefix_groups = 4;
  std::vector<double> count(4, 0.0);
  for (const RequestSpec& r : generate_requests(workload, 3)) count[r.beginning->ids.front()] += 1.0;
  for (const double c : count) EXPECT_NEAR(c / 8000.0, 0.25, 0.02);
}

TEST(Workload, ABeginningCoversWhatThePromptHasOfIt) {
  const PromptBeginning beginning{512, {7, 8}};
  EXPECT_EQ(beginning.of(2000), 1024);
  EXPECT_EQ(beginning.of(1024), 1024);
  EXPECT_EQ(beginning.of(600), 600);
  EXPECT_EQ((PromptBeginning{512, {}}).of(600), 0);
}

RC_GTEST_PROP(WorkloadProperty, SameSeedSameRequestsInsideTheirRanges, (std::uint64_t seed)) {
  const auto workload = poisson(*rc::gen::inRange(1, 200), *rc::gen::inRange(1, 1000) / 10.0);
  const auto requests = generate_requests(workload, seed);
  RC_ASSERT(requests == generate_requests(workload, seed));
  RC_ASSERT(requests.size() == static_cast<std::size_t>(workload.requests));
  RC_ASSERT(requests.front().arrival.count() == 0.0);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestSpec& request = requests[i];
    RC_ASSERT(request.id == i);
    RC_ASSERT(request.prompt_tokens >= 16 && request.prompt_tokens <= 1024);
    RC_ASSERT(request.output_tokens >= 1 && request.output_tokens <= 128);
    // In brackets: the macro takes expressions apart, and || would lose its short cut.
    RC_ASSERT((i == 0 || request.arrival >= requests[i - 1].arrival));
  }
}

// A request's draw depends on its own index only, so a longer run begins with the shorter one.
RC_GTEST_PROP(WorkloadProperty, MoreRequestsKeepTheFirstOnes, (std::uint64_t seed)) {
  const auto few = generate_requests(poisson(10, 5.0), seed);
  auto many = generate_requests(poisson(50, 5.0), seed);
  many.resize(few.size());
  RC_ASSERT(few == many);
}

// 20,000 gaps: the mean has a relative standard error of 1/sqrt(20,000) = 0.71 %; 4 of them are 2.8
// %. Lengths uniform in [16, 1024] have mean 520 and standard deviation 291, so ±4 ·
// 291/sqrt(20,000) = ±8.2.
TEST(Workload, MeansAreWithinSamplingError) {
  for (const std::uint64_t seed : {1U, 2U, 3U}) {
    const auto requests = generate_requests(poisson(20001, 100.0), seed);
    EXPECT_NEAR(requests.back().arrival.count(), 200.0, 200.0 * 0.028) << "seed " << seed;
    double prompt = 0.0;
    double squares = 0.0;
    for (std::size_t i = 0; i < requests.size(); ++i) {
      prompt += static_cast<double>(requests[i].prompt_tokens);
      if (i == 0) continue;
      const double gap = (requests[i].arrival - requests[i - 1].arrival).count() * 100.0;
      squares += gap * gap;
    }
    EXPECT_NEAR(prompt / 20001.0, 520.0, 8.2) << "seed " << seed;
    // E[gap²] = 2 for unit rate; Var[gap²] = 24 − 4 = 20, so 4 · sqrt(20/20,000) = 0.126.
    EXPECT_NEAR(squares / 20000.0, 2.0, 0.126) << "seed " << seed;
  }
}

TEST(Workload, SeedsDiffer) {
  EXPECT_NE(generate_requests(poisson(10, 1.0), 1), generate_requests(poisson(10, 1.0), 2));
  EXPECT_NE(generate_requests(poisson(10, 1.0), 1),
            generate_requests(poisson(10, 1.0), std::uint64_t{1} << 32U | 1U));
}

TEST(Workload, ARateOfOnePerAgeIsRefused) {
  try {
    static_cast<void>(generate_requests(poisson(100, 1e-12), 1));
    FAIL() << "the last request arrives in three million years";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kInput);
    EXPECT_THAT(error.what(), HasSubstr("centuries"));
  }
}

// Mean and coefficient of variation of the gaps between arrivals.
struct Gaps {
  double mean = 0.0;
  double variation = 0.0;
};
Gaps gaps_of(const std::vector<RequestSpec>& requests) {
  double sum = 0.0;
  double squares = 0.0;
  for (std::size_t i = 1; i < requests.size(); ++i) {
    const double gap = (requests[i].arrival - requests[i - 1].arrival).count();
    sum += gap;
    squares += gap * gap;
  }
  const double n = static_cast<double>(requests.size() - 1);
  const double mean = sum / n;
  return {mean, std::sqrt(squares / n - mean * mean) / mean};
}

TEST(Workload, GammaGapsHaveTheirMeanAndVariation) {
  for (const double variation : {0.4, 1.0, 2.5}) {
    ServingWorkload workload = poisson(40000, 5.0);
    workload.arrival = Arrival::kGamma;
    workload.shape.variation = variation;
    const Gaps gaps = gaps_of(generate_requests(workload, 3));
    // Standard error of the mean: variation / 200; of the variation below 2 % (fourth moment of a gamma).
    EXPECT_NEAR(gaps.mean, 0.2, 0.2 * 5.0 * variation / 200.0) << variation;
    EXPECT_NEAR(gaps.variation / variation, 1.0, 0.08) << variation;
  }
}

TEST(Workload, BurstsKeepTheMeanRateAndClump) {
  ServingWorkload workload = poisson(40000, 5.0);
  workload.arrival = Arrival::kBursty;
  workload.shape.burst_rate = Hertz{20.0};
  workload.shape.burst_share = 0.2;
  workload.shape.burst_length = Seconds{2.0};
  // (5 − 0.2 · 20) / 0.8 = 1.25 /s between bursts.
  const Gaps gaps = gaps_of(generate_requests(workload, 3));
  EXPECT_NEAR(gaps.mean, 0.2, 0.02);
  EXPECT_GT(gaps.variation, 1.5);
  workload.shape.burst_share = 0.25;  // nothing arrives between bursts
  EXPECT_NEAR(gaps_of(generate_requests(workload, 3)).mean, 0.2, 0.02);
}

TEST(Workload, TheDayPeaksWhereItShould) {
  ServingWorkload workload = poisson(0, 10.0);
  workload.arrival = Arrival::kDiurnal;
  workload.duration = Seconds{1000.0};
  workload.shape = {1.0, Hertz{0}, 0.0, Seconds{0}, 0.8, Seconds{1000.0}, Seconds{250.0}};
  const auto requests = generate_requests(workload, 3);
  // Around the peak, 0 … 500 s, the mean rate is 10 (1 + 0.8 · 2/π) = 15.09 /s: 7,546 of 10,000.
  double first = 0.0;
  for (const RequestSpec& r : requests) first += r.arrival < Seconds{500.0} ? 1.0 : 0.0;
  EXPECT_NEAR(static_cast<double>(requests.size()), 10000.0, 500.0);
  EXPECT_NEAR(first, 7546.0, 450.0);
}

TEST(Workload, LengthsFollowTheirDistribution) {
  ServingWorkload workload = poisson(20000, 5.0);
  workload.prompt = {1, 100000, 400.0, 0.5, {}};
  workload.output = {10, 200, 0.0, 0.0, {10, 20, 200}};
  double logs = 0.0;
  double squares = 0.0;
  double short_outputs = 0.0;
  for (const RequestSpec& r : generate_requests(workload, 3)) {
    const double x = std::log(static_cast<double>(r.prompt_tokens) / 400.0);
    logs += x;
    squares += x * x;
    short_outputs += r.output_tokens <= 20 ? 1.0 : 0.0;
    EXPECT_GE(r.output_tokens, 10);
    EXPECT_LE(r.output_tokens, 200);
  }
  EXPECT_NEAR(logs / 20000.0, 0.0, 0.02);
  EXPECT_NEAR(std::sqrt(squares / 20000.0), 0.5, 0.02);
  EXPECT_NEAR(short_outputs / 20000.0, 0.5, 0.02);
}

TEST(Workload, ADurationEndsTheArrivals) {
  ServingWorkload workload = poisson(0, 50.0);
  workload.duration = Seconds{10.0};
  const auto requests = generate_requests(workload, 3);
  ServingWorkload counted = poisson(static_cast<std::int64_t>(requests.size()) + 1, 50.0);
  const auto longer = generate_requests(counted, 3);
  EXPECT_LT(requests.back().arrival, Seconds{10.0});
  EXPECT_GE(longer.back().arrival, Seconds{10.0});
  EXPECT_TRUE(std::equal(requests.begin(), requests.end(), longer.begin()));
}

// Shares of 3 to 1: of 40,000 requests 30,000 ± 87 (one sigma, binomial) are the first one's.
TEST(Workload, TenantsAreDrawnByShare) {
  ServingWorkload workload = poisson(40'000, 10.0);
  const auto without = generate_requests(workload, 7);
  workload.tenants = {{"a", 6.0}, {"b", 2.0, 3}};
  workload.tenants[1].output = LengthRange{500, 600};
  const auto requests = generate_requests(workload, 7);
  double first = 0.0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const RequestSpec& r = requests[i];
    first += r.tenant == 0 ? 1.0 : 0.0;
    ASSERT_LT(r.tenant, 2U);
    EXPECT_EQ(r.priority, r.tenant == 1 ? 3 : 0);
    // Whose it is changes nothing but what its tenant says.
    EXPECT_EQ(r.arrival, without[i].arrival);
    EXPECT_EQ(r.prompt_tokens, without[i].prompt_tokens);
    if (r.tenant == 0) {
      EXPECT_EQ(r.output_tokens, without[i].output_tokens);
    } else {
      EXPECT_GE(r.output_tokens, 500);
    }
  }
  EXPECT_NEAR(first, 30'000.0, 350.0);
  EXPECT_EQ(longest_request(workload), 1024 + 600);
}

// The first n requests do not depend on how many follow, nor on who else draws.
TEST(Workload, ATenantIsAFunctionOfSeedAndNumber) {
  ServingWorkload workload = poisson(500, 10.0);
  workload.tenants = {{"a", 1.0}, {"b", 1.0}, {"c", 1.0}};
  const auto few = generate_requests(workload, 3);
  workload.requests = 1000;
  workload.arrival = Arrival::kUniform;
  const auto more = generate_requests(workload, 3);
  const auto other = generate_requests(workload, 4);
  std::size_t same = 0;
  for (std::size_t i = 0; i < few.size(); ++i) {
    EXPECT_EQ(few[i].tenant, more[i].tenant);
    same += few[i].tenant == other[i].tenant ? 1U : 0U;
  }
  EXPECT_LT(same, 250U) << "a third of 500 are the same by chance";
}

// Prompts of a tenant with groups of its own begin like no other tenant's.
TEST(Workload, ATenantsPrefixesAreItsOwn) {
  ServingWorkload workload = poisson(600, 10.0);
  workload.shared_prefix = 8;
  workload.prefix_groups = 3;
  workload.tenants = {{"a", 1.0}, {"b", 1.0}, {"c", 1.0}};
  workload.tenants[1].shared_prefix = 12;
  workload.tenants[1].prefix_groups = 2;
  std::map<std::uint32_t, std::set<std::uint64_t>> ids;
  for (const RequestSpec& r : generate_requests(workload, 3)) {
    ASSERT_TRUE(r.beginning);
    EXPECT_EQ(r.beginning->tokens_per_id, r.tenant == 1 ? 12 : 8);
    EXPECT_EQ(r.prefix, r.beginning->ids.front() + 1);
    ids[r.tenant].insert(r.beginning->ids.front());
  }
  EXPECT_EQ(ids[0], (std::set<std::uint64_t>{0, 1, 2}));
  EXPECT_EQ(ids[1], (std::set<std::uint64_t>{3, 4}));
  EXPECT_EQ(ids[2], ids[0]) << "without a prefix of its own a tenant has the workload's";
}

TEST(Workload, ATenantsPromisesStandInForTheScenarios) {
  ServingWorkload workload;
  workload.tenants = {{"a", 1.0}, {"b", 1.0}};
  workload.tenants[1].tpot = Seconds(0.5);
  const Promises promises = promises_of(workload, {Seconds(1), Seconds(2), 0.9});
  EXPECT_EQ(promises.of(0), (Slo{Seconds(1), Seconds(2), 0.9}));
  EXPECT_EQ(promises.of(1), (Slo{Seconds(1), Seconds(0.5), 0.9}));
  EXPECT_EQ(promises_of({}, {Seconds(1), Seconds(2), 0.9}).of(0).ttft, Seconds(1));
}

TEST(Workload, MeanTokensWeighTenantsByShare) {
  ServingWorkload workload = poisson(1, 1.0);
  EXPECT_EQ(mean_tokens(workload).prompt, 520.0);
  EXPECT_EQ(mean_tokens(workload).output, 64.5);
  workload.tenants = {{"a", 3.0}, {"b", 1.0}};
  workload.tenants[1].prompt = LengthRange{100, 140};
  EXPECT_EQ(mean_tokens(workload).prompt, (3.0 * 520.0 + 120.0) / 4.0);
}

// Against 40,000 requests of each: the standard error of their mean is below 0.8 %.
TEST(Workload, MeanTokensAreThoseOfTheRequests) {
  const LengthRange log_normal{16, 2048, 300.0, 0.7};
  const LengthRange by_quantiles{1, 8192, 0.0, 0.0, {1, 300, 700, 8192}};
  for (const LengthRange& range : {log_normal, by_quantiles}) {
    ServingWorkload workload = poisson(40'000, 1.0);
    workload.output = range;
    double sum = 0.0;
    for (const RequestSpec& request : generate_requests(workload, 1)) sum += static_cast<double>(request.output_tokens);
    EXPECT_NEAR(mean_tokens(workload).output / (sum / 40'000.0), 1.0, 0.02);
  }
}

}  // namespace
}  // namespace lindos
