// SPDX-License-Identifier: Apache-2.0
// Draws of stragglers against closed forms, counts, and the same distributions sampled one device
// at a time.
#include "sim/training/straggler_draws.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "sim/normal_distribution.h"

namespace lindos::sim {
namespace {

constexpr std::uint64_t kSeed = 20240817;

// `replicas` pipelines of `stages` stages with `width` devices each, on one pool of 8-device nodes.
TrainingJob job_of(std::int64_t replicas, int stages, std::int64_t width) {
  GroupJob group;
  group.pool = "h100";
  group.replicas = replicas;
  StageJob stage;
  stage.pool = group.pool;
  stage.devices = width;
  stage.devices_per_node = 8;
  group.stages.assign(static_cast<std::size_t>(stages), stage);
  TrainingJob job;
  job.groups = {group};
  return job;
}

Faults spread_of(double sigma) {
  Faults faults;
  faults.speed_sigma = sigma;
  return faults;
}

double mean_of(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0.0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

std::vector<double> slowest_of_job(const StragglerModel& model, std::uint32_t draws) {
  std::vector<double> slowest;
  for (std::uint32_t i = 0; i < draws; ++i) {
    const StepDraw draw = model.draw(kSeed, i);
    slowest.push_back(*std::max_element(draw.slowdown[0].begin(), draw.slowdown[0].end()));
  }
  return slowest;
}

// E of the largest of n standard normals: ∫ z n φ(z) Φ(z)^(n−1) dz, midpoint rule.
double mean_of_largest(double n) {
  constexpr double kStep = 1e-3;
  double sum = 0.0;
  for (double z = -2.0; z < 9.0; z += kStep) {
    const double middle = z + 0.5 * kStep;
    const double density = std::exp(-0.5 * middle * middle) / std::sqrt(2.0 * std::numbers::pi);
    sum += kStep * middle * n * density * std::exp((n - 1.0) * std::log1p(-normal_tail(middle)));
  }
  return sum;
}

// Largest distance of two empirical distribution functions (Kolmogorov and Smirnov).
double distance(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double largest = 0.0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    (a[i] < b[j] ? i : j)++;
    const double difference = static_cast<double>(i) / static_cast<double>(a.size()) -
                              static_cast<double>(j) / static_cast<double>(b.size());
    largest = std::max(largest, std::abs(difference));
  }
  return largest;
}

class SlowestOf : public ::testing::TestWithParam<std::pair<std::int64_t, double>> {};

// z of the modelling handbook, §5.3: Phi^-1((N − 0.375) / (N + 0.25)).
TEST_P(SlowestOf, MeanAgreesWithTheClosedForm) {
  const auto [devices, z] = GetParam();
  const double blom = normal_tail_quantile(0.625 / (static_cast<double>(devices) + 0.25));
  EXPECT_NEAR(blom, z, 0.005);
  constexpr double kSigma = 0.01;
  const TrainingJob job = job_of(devices / 8, 1, 8);
  const StragglerModel model(job, spread_of(kSigma));
  const double exact = mean_of_largest(static_cast<double>(devices));
  EXPECT_NEAR(std::log(model.expected_slowdown()) / kSigma, exact, 0.002);
  EXPECT_NEAR(exact, blom, 0.02);  // Blom's constant is for small samples
  std::vector<double> logs;
  for (const double slowdown : slowest_of_job(model, 200))
    logs.push_back(std::log(slowdown) / kSigma);
  const double error = deviation_of(logs) / std::sqrt(static_cast<double>(logs.size()));
  EXPECT_NEAR(mean_of(logs), exact, 3.5 * error);
}

INSTANTIATE_TEST_SUITE_P(Devices, SlowestOf,
                         ::testing::Values(std::pair(512, 3.03), std::pair(8192, 3.79),
                                           std::pair(16384, 3.96), std::pair(220000, 4.54)));

TEST(DeviceSpread, OneDrawForAllDevicesEqualsOneDrawEach) {
  struct Case {
    double fixed, jitter, bound;
  };
  constexpr int kSamples = 20000;
  // Two samples of this size differ by less with probability 0.99: 1.63 sqrt(2 / n).
  const double allowed = 1.63 * std::sqrt(2.0 / kSamples);
  for (const Case& c : {Case{0.01, 0.0, DeviceSpread::kNothingReplaced},
                        Case{0.01, 0.02, DeviceSpread::kNothingReplaced}, Case{0.01, 0.0, 0.012},
                        Case{0.01, 0.01, 0.012}, Case{0.02, 0.005, -0.01}}) {
    const DeviceSpread spread(c.fixed, c.jitter, c.bound);
    std::mt19937_64 random(7);
    std::uniform_real_distribution<double> uniform(1e-12, 1.0);
    std::normal_distribution<double> normal;
    std::vector<double> at_once, one_by_one;
    for (int i = 0; i < kSamples; ++i) {
      at_once.push_back(spread.slowest(8.0, uniform(random)));
      double slowest = -1.0;
      for (int device = 0; device < 8; ++device) {
        double fixed = c.fixed * normal(random);
        while (fixed > c.bound) fixed = c.fixed * normal(random);
        slowest = std::max(slowest, fixed + c.jitter * normal(random));
      }
      one_by_one.push_back(slowest);
    }
    EXPECT_LT(distance(at_once, one_by_one), allowed)
        << c.fixed << ' ' << c.jitter << ' ' << c.bound;
  }
}

TEST(StragglerModel, WithoutFaultsNothingDeviates) {
  const TrainingJob job = job_of(4, 2, 8);
  const StragglerModel model(job, {});
  const StepDraw draw = model.draw(kSeed, 0);
  EXPECT_TRUE(draw.slowdown.empty());
  EXPECT_TRUE(draw.throttle.empty());
  EXPECT_TRUE(draw.link.empty());
  EXPECT_NEAR(model.expected_slowdown(), 1.0, 1e-12);
}

TEST(StragglerModel, DrawsArePureFunctionsOfSeedAndIndex) {
  const TrainingJob job = job_of(40, 2, 8);
  const StragglerModel model(job, spread_of(0.01));
  const auto first = model.draw(kSeed, 3).slowdown;
  EXPECT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].size(), 80U);
  EXPECT_EQ(model.draw(kSeed, 3).slowdown, first);
  EXPECT_NE(model.draw(kSeed, 4).slowdown, first);
  EXPECT_NE(model.draw(kSeed + 1, 3).slowdown, first);
}

// The same devices under another plan: groups in another order, other stages over the same nodes.
TEST(StragglerModel, ANodeIsTheSameUnderEveryPlan) {
  Faults faults;
  faults.slow_share = 0.3;
  faults.slow_factor = 0.5;
  TrainingJob one = job_of(20, 1, 8);
  TrainingJob two = job_of(5, 4, 8);
  GroupJob other = one.groups[0];
  other.pool = other.stages[0].pool = "h200";
  one.groups.push_back(other);
  two.groups.insert(two.groups.begin(), other);
  const auto a = StragglerModel(one, faults).draw(kSeed, 1).slowdown;
  const auto b = StragglerModel(two, faults).draw(kSeed, 1).slowdown;
  EXPECT_EQ(a[0], b[1]);
  EXPECT_EQ(a[1], b[0]);
  EXPECT_NE(a[0], a[1]);
}

TEST(StragglerModel, SlowNodesStrikeAllTheirStages) {
  Faults faults;
  faults.slow_share = 0.1;
  faults.slow_factor = 0.9;
  const float slow = static_cast<float>(1.0 / 0.9);
  const TrainingJob half = job_of(2000, 2, 4);  // two stages to a node
  const auto shared = StragglerModel(half, faults).draw(kSeed, 0).slowdown[0];
  for (std::size_t i = 0; i < shared.size(); i += 2) EXPECT_EQ(shared[i], shared[i + 1]);
  const auto nodes = std::count(shared.begin(), shared.end(), slow) / 2;
  EXPECT_NEAR(static_cast<double>(nodes), 200.0, 4.0 * std::sqrt(2000 * 0.1 * 0.9));
  const TrainingJob wide = job_of(2000, 1, 16);  // two nodes to a stage
  const auto both = StragglerModel(wide, faults).draw(kSeed, 0).slowdown[0];
  EXPECT_NEAR(static_cast<double>(std::count(both.begin(), both.end(), slow)), 2000 * 0.19,
              4.0 * std::sqrt(2000 * 0.19 * 0.81));
}

TEST(StragglerModel, HeatIsAFactorOfItsOwn) {
  Faults faults;
  faults.thermal_share = 1.0;
  faults.thermal_factor = 0.8;
  const TrainingJob job = job_of(10, 1, 8);
  const StepDraw hot = StragglerModel(job, faults).draw(kSeed, 0);
  EXPECT_TRUE(hot.slowdown.empty());
  EXPECT_EQ(hot.throttle[0], std::vector<float>(10, 1.25F));
  EXPECT_NEAR(StragglerModel(job, faults).expected_slowdown(), 1.25, 1e-9);
  // Of the two nodes of a stage the gating one counts, with both of its factors: slow and cool (2)
  // before ordinary and hot (1.25), slow and hot (2.5) before all.
  faults.thermal_share = faults.slow_share = 0.5;
  faults.slow_factor = 0.5;
  const TrainingJob wide = job_of(400, 1, 16);
  const StepDraw draw = StragglerModel(wide, faults).draw(kSeed, 0);
  std::size_t seen[2] = {0, 0};
  for (std::size_t i = 0; i < 400; ++i) {
    const float slowdown = draw.slowdown[0][i];
    const float throttle = draw.throttle[0][i];
    ASSERT_TRUE(slowdown == 1.0F || slowdown == 2.0F);
    ASSERT_TRUE(throttle == 1.0F || throttle == 1.25F);
    ++seen[slowdown > 1.0F];
  }
  EXPECT_NEAR(static_cast<double>(seen[1]), 300.0, 4.0 * std::sqrt(400 * 0.75 * 0.25));
}

FailSlowEpisode slow_network() {
  FailSlowEpisode episode;
  episode.rate_per_node = Hertz(0.5 / 3600.0);
  episode.duration = Seconds(600.0);  // median; mean 600 exp(0.5) = 989 s
  episode.duration_sigma = 1.0;
  episode.network_slowdown = 1.5;
  return episode;
}

TEST(StragglerModel, EpisodesAreActiveInTheirStationaryShare) {
  Faults faults;
  faults.episodes = {slow_network()};
  constexpr int kNodes = 30000;
  const TrainingJob job = job_of(kNodes, 1, 8);
  const StepDraw draw = StragglerModel(job, faults).draw(kSeed, 0);
  EXPECT_TRUE(draw.slowdown.empty());
  const auto active =
      static_cast<double>(std::count(draw.link[0].begin(), draw.link[0].end(), 1.5F));
  // Rate × mean duration = 0.1374 episodes at a time: 1 − exp(−0.1374).
  const double share = 1.0 - std::exp(-0.5 / 3600.0 * 600.0 * std::exp(0.5));
  EXPECT_NEAR(share, 0.1284, 5e-4);
  EXPECT_NEAR(active / kNodes, share, 4.0 * std::sqrt(share * (1.0 - share) / kNodes));
  // The same share from time lines: episodes of the two days before a moment, one node after the
  // other.
  std::mt19937_64 random(11);
  std::exponential_distribution<double> gap(0.5 / 3600.0);
  std::lognormal_distribution<double> length(std::log(600.0), 1.0);
  int found = 0;
  for (int node = 0; node < kNodes; ++node) {
    bool covers = false;
    for (double t = -172800.0 + gap(random); t < 0.0; t += gap(random))
      covers |= t + length(random) > 0.0;
    found += covers;
  }
  EXPECT_NEAR(static_cast<double>(found) / kNodes, share,
              4.0 * std::sqrt(share * (1.0 - share) / kNodes));
}

TEST(StragglerModel, EpisodesOfComputeSlowTheStageAndManyAreIndependent) {
  Faults faults;
  for (int i = 0; i < 6; ++i) {  // more than one block of random words
    FailSlowEpisode episode;
    episode.rate_per_node = Hertz(1.0);
    episode.duration = Seconds(std::log(2.0));     // active half of the time
    episode.compute_slowdown = std::exp2(1 << i);  // the product tells which are active
    faults.episodes.push_back(episode);
  }
  const TrainingJob job = job_of(6400, 1, 8);
  const auto slowdown = StragglerModel(job, faults).draw(kSeed, 0).slowdown[0];
  std::vector<int> combinations(64, 0);
  for (const float s : slowdown)
    ++combinations[static_cast<std::size_t>(std::lround(std::log2(s)))];
  for (const int n : combinations) EXPECT_NEAR(n, 100.0, 45.0);  // 4.5 sigma of a Poisson count
}

TEST(StragglerModel, ExpectedSlowdownIsTheMeanOfTheSlowestDevice) {
  Faults faults = spread_of(0.01);
  faults.jitter_sigma = 0.01;
  faults.slow_share = 0.005;
  faults.slow_factor = 0.9;
  FailSlowEpisode episode;
  episode.rate_per_node = Hertz(0.0153 / 3600.0);
  episode.duration = Seconds(192.0);
  episode.duration_sigma = 1.5;
  episode.compute_slowdown = 1.118;
  faults.episodes = {episode};
  for (const std::int64_t nodes : {64, 2048, 27500}) {
    const TrainingJob job = job_of(nodes, 1, 8);
    const StragglerModel model(job, faults);
    const std::vector<double> slowest = slowest_of_job(model, 100);
    const double error = deviation_of(slowest) / std::sqrt(100.0);
    EXPECT_NEAR(model.expected_slowdown(), mean_of(slowest), 3.5 * error) << nodes;
  }
}

TEST(StragglerModel, EvictionTakesTheSlowestDevices) {
  Faults faults = spread_of(0.01);
  faults.slow_share = 0.005;
  faults.slow_factor = 0.9;
  const TrainingJob job = job_of(27500, 1, 8);
  const StragglerModel all(job, faults);
  faults.evicted_share = 0.01;
  const StragglerModel evicted(job, faults);
  // 0.5 % of the devices are slow and go first; the rest of the 1 % is the tail of the others:
  // 0.995 (1 − Phi(z)) = 0.005, z = 2.574.
  const double bound = std::exp(0.01 * normal_tail_quantile(0.005 / 0.995));
  const double slowest = slowest_of_job(evicted, 1)[0];
  EXPECT_LE(slowest, bound + 1e-9);
  EXPECT_GT(slowest, bound - 2e-4);  // of 220,000 devices some lie close to it
  EXPECT_GT(slowest_of_job(all, 1)[0], 1.1);
  EXPECT_NEAR(evicted.expected_slowdown(), bound, 2e-4);
  EXPECT_GT(all.expected_slowdown(), 1.13);
}

TEST(StragglerModel, EvictionWithoutSpreadTakesSlowNodes) {
  Faults faults;
  faults.slow_share = 0.04;
  faults.slow_factor = 0.5;
  const TrainingJob job = job_of(20000, 1, 8);
  faults.evicted_share = 0.03;
  const auto left = StragglerModel(job, faults).draw(kSeed, 0).slowdown[0];
  const double share = 0.01 / 0.97;
  EXPECT_NEAR(static_cast<double>(std::count(left.begin(), left.end(), 2.0F)), 20000 * share,
              4.0 * std::sqrt(20000 * share));
  faults.evicted_share = 0.05;
  EXPECT_TRUE(StragglerModel(job, faults).draw(kSeed, 0).slowdown.empty());
}

// Jitter is not what a burn-in test finds: eviction leaves it.
TEST(StragglerModel, EvictionLeavesJitter) {
  Faults faults;
  faults.jitter_sigma = 0.01;
  const TrainingJob job = job_of(500, 1, 8);
  Faults evicting = faults;
  evicting.evicted_share = 0.01;
  EXPECT_EQ(StragglerModel(job, evicting).draw(kSeed, 0).slowdown,
            StragglerModel(job, faults).draw(kSeed, 0).slowdown);
}

}  // namespace
}  // namespace lindos::sim
