// SPDX-License-Identifier: Apache-2.0
#include "sim/training/straggler_draws.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "scenarios/error.h"
#include "scenarios/philox.h"

namespace lindos::sim {

namespace {

// Counter words that keep these draws apart from each other and from those of prices and failures.
constexpr std::uint32_t kNodeStream = 0x6E6F6465;    // "node"
constexpr std::uint32_t kDeviceStream = 0x64657673;  // "devs"

// Names a pool in the counter, so that a device draws the same under every plan: FNV-1a, 32 bits.
std::uint32_t key_of(std::string_view pool) {
  std::uint32_t hash = 0x811C9DC5;
  for (const char c : pool) hash = (hash ^ static_cast<unsigned char>(c)) * 0x01000193;
  return hash;
}

// Episodes start as a Poisson process and last log-normally, so that their number on a node at one
// moment is Poisson with mean rate × mean duration (the M/G/∞ queue).
double active_probability(const FailSlowEpisode& episode) {
  const double mean =
      episode.duration.count() * std::exp(0.5 * episode.duration_sigma * episode.duration_sigma);
  return -std::expm1(-episode.rate_per_node.value() * mean);
}

// What is left of the static slowness when the slowest share of the devices is replaced.
struct Eviction {
  double slow_probability = 0.0;  // of a node
  double replaced_above =
      DeviceSpread::kNothingReplaced;  // log of static time relative to the typical device
};

Eviction evict(double share, double sigma, double slow_probability, double log_slow) {
  if (share <= 0.0) return {slow_probability, DeviceSpread::kNothingReplaced};
  if (sigma == 0.0)
    return {std::max(0.0, slow_probability - share) / (1.0 - share),
            DeviceSpread::kNothingReplaced};
  // Bisection for the time that the share exceeds.
  const DeviceSpread spread(sigma, 0.0);
  const auto exceeds = [&](double x) {
    return (1.0 - slow_probability) * spread.tail(x) + slow_probability * spread.tail(x - log_slow);
  };
  constexpr double kFarthest = 9.0;
  double low = -kFarthest * sigma;
  double high = std::max(0.0, log_slow) + kFarthest * sigma;
  for (int i = 0; i < 100; ++i) {
    const double middle = 0.5 * (low + high);
    (exceeds(middle) > share ? low : high) = middle;
  }
  const double kept_slow = slow_probability * (1.0 - spread.tail(high - log_slow));
  return {kept_slow / (1.0 - share), high};
}

// Calls visit(group, index in StepDraw, pool, position of the stage's first device in its pool).
// Replicas and stages of a group lie one after the other in each pool that they use.
template <class Visit>
void visit_stages(const TrainingJob& job, const Visit& visit) {
  std::map<std::string, std::int64_t> next;  // of each pool
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const GroupJob& group = job.groups[g];
    next[group.pool] = group.first_device;
    std::size_t index = 0;
    for (std::int64_t replica = 0; replica < group.replicas; ++replica) {
      for (const StageJob& stage : group.stages) {
        std::int64_t& position = next[stage.pool];
        visit(g, index++, stage, position);
        position += stage.devices;
      }
    }
  }
}

}  // namespace

StragglerModel::StragglerModel(const TrainingJob& job, const Faults& faults)
    : job_(&job),
      slow_probability_(faults.slow_share),
      slow_compute_(1.0 / faults.slow_factor),
      hot_probability_(faults.thermal_share),
      hot_throttle_(1.0 / faults.thermal_factor),
      ordinary_(faults.speed_sigma, faults.jitter_sigma),
      in_slow_node_(ordinary_) {
  const double evicted_share = faults.evicted_share;
  LINDOS_ASSERT(evicted_share >= 0.0 && evicted_share < 1.0, "some device must stay");
  const double log_slow = std::log(slow_compute_);
  const Eviction left = evict(evicted_share, faults.speed_sigma, slow_probability_, log_slow);
  slow_probability_ = left.slow_probability;
  if (left.replaced_above < DeviceSpread::kNothingReplaced) {
    ordinary_ = DeviceSpread(faults.speed_sigma, faults.jitter_sigma, left.replaced_above);
    if (slow_probability_ > 0.0) {
      in_slow_node_ =
          DeviceSpread(faults.speed_sigma, faults.jitter_sigma, left.replaced_above - log_slow);
    }
  }
  for (const FailSlowEpisode& episode : faults.episodes) {
    const double probability = active_probability(episode);
    if (probability <= 0.0) continue;
    episodes_.push_back({probability, episode.compute_slowdown, episode.network_slowdown});
  }
}

StragglerModel::NodeState StragglerModel::node_state(const Slice& slice, std::uint64_t seed,
                                                     std::uint32_t index) const {
  NodeState state;
  PhiloxCounter bits{};
  // Event 0: slow, 1: hot, then the episodes; four to a call.
  const auto happens = [&](std::size_t event, double probability) {
    const std::size_t word = event % bits.size();
    if (word == 0) {
      bits = philox({kNodeStream + static_cast<std::uint32_t>(event / bits.size()), index,
                     slice.pool_key, static_cast<std::uint32_t>(slice.node)},
                    philox_key(seed));
    }
    return open_unit(bits[word]) < probability;
  };
  state.slow = happens(0, slow_probability_);
  if (state.slow) state.compute = slow_compute_;
  if (happens(1, hot_probability_)) state.throttle = hot_throttle_;
  for (std::size_t e = 0; e < episodes_.size(); ++e) {
    if (!happens(2 + e, episodes_[e].probability)) continue;
    state.compute *= episodes_[e].compute;
    state.network *= episodes_[e].network;
  }
  return state;
}

double StragglerModel::slowest_device(const Slice& slice, bool slow, std::uint64_t seed,
                                      std::uint32_t index) const {
  const DeviceSpread& spread = slow ? in_slow_node_ : ordinary_;
  if (!spread.deviates()) return 1.0;
  const PhiloxCounter bits =
      philox({kDeviceStream, index, slice.pool_key, static_cast<std::uint32_t>(slice.first)},
             philox_key(seed));
  // 64 bits: the slowest of many devices is decided by the lower ones.
  const double u = (static_cast<double>(bits[0]) + open_unit(bits[1])) / 4294967296.0;
  return std::exp(spread.slowest(static_cast<double>(slice.devices), u));
}

template <class Visit>
void StragglerModel::visit_slices(std::uint64_t seed, std::uint32_t index, const Visit& visit) const {
  visit_stages(*job_, [&](std::size_t g, std::size_t i, const StageJob& stage, std::int64_t first) {
    const std::int64_t width = stage.devices_per_node;
    Slice slice{key_of(stage.pool), first, 0, 0};
    for (const std::int64_t end = first + stage.devices; slice.first < end; slice.first += slice.devices) {
      slice.node = slice.first / width;
      slice.devices = std::min(end, (slice.node + 1) * width) - slice.first;
      const NodeState node = node_state(slice, seed, index);
      visit(g, i, slice, node, slowest_device(slice, node.slow, seed, index));
    }
  });
}

StepDraw StragglerModel::draw(std::uint64_t seed, std::uint32_t index) const {
  const bool computes = ordinary_.deviates() || (slow_probability_ > 0.0 && slow_compute_ != 1.0) ||
                        std::any_of(episodes_.begin(), episodes_.end(),
                                    [](const Episode& e) { return e.compute != 1.0; });
  const bool heats = hot_probability_ > 0.0 && hot_throttle_ != 1.0;
  const bool links = std::any_of(episodes_.begin(), episodes_.end(),
                                 [](const Episode& e) { return e.network != 1.0; });
  StepDraw draw;
  const auto prepare = [&](std::vector<std::vector<float>>& factors) {
    for (const GroupJob& group : job_->groups) {
      factors.emplace_back(static_cast<std::size_t>(group.replicas) * group.stages.size(), 1.0F);
    }
  };
  if (computes) prepare(draw.slowdown);
  if (heats) prepare(draw.throttle);
  if (links) prepare(draw.link);
  if (!computes && !heats && !links) return draw;
  double gate = 0.0;  // the slowest slice of this stage so far
  const float* stage_of_gate = nullptr;
  visit_slices(seed, index, [&](std::size_t g, std::size_t i, const Slice&, const NodeState& node, double slowest) {
    const double slowdown = node.compute * slowest;
    if (links) draw.link[g][i] = std::max(draw.link[g][i], static_cast<float>(node.network));
    // Slices of a stage follow each other.
    const float* stage = &(computes ? draw.slowdown : heats ? draw.throttle : draw.link)[g][i];
    if (stage != stage_of_gate) gate = 0.0;
    stage_of_gate = stage;
    if (slowdown * node.throttle <= gate) return;
    gate = slowdown * node.throttle;
    if (computes) draw.slowdown[g][i] = static_cast<float>(slowdown);
    if (heats) draw.throttle[g][i] = static_cast<float>(node.throttle);
  });
  return draw;
}

std::vector<SliceDraw> StragglerModel::slices(std::uint64_t seed, std::uint32_t index) const {
  std::vector<SliceDraw> out;
  visit_slices(seed, index,
               [&](std::size_t g, std::size_t i, const Slice& slice, const NodeState& node, double slowest) {
                 out.push_back({g, i, slice.first, slice.devices, static_cast<float>(node.compute),
                                static_cast<float>(slowest), static_cast<float>(node.throttle),
                                static_cast<float>(node.network)});
               });
  return out;
}

double StragglerModel::expected_slowdown() const {
  // What a node may be: probability, log of the factor on the time of its devices.
  struct Kind {
    double probability;
    double log_factor;
    bool slow;
  };
  std::map<int, double> nodes_by_width;  // devices of a node → nodes in use
  for (const GroupJob& group : job_->groups) {
    for (const StageJob& stage : group.stages) {
      nodes_by_width[stage.devices_per_node] +=
          static_cast<double>(group.replicas * stage.devices) / stage.devices_per_node;
    }
  }
  double nodes = 0.0;
  for (const auto& [width, of_width] : nodes_by_width) nodes += of_width;
  std::vector<Kind> kinds = {{1.0, 0.0, false}};
  const auto split = [&](double probability, double factor, bool slow) {
    if (probability <= 0.0 || factor == 1.0) return;
    constexpr double kNever = 1e-9;  // expected nodes of a kind below which it cannot matter
    std::vector<Kind> both;
    for (const Kind& k : kinds) {
      const Kind with{k.probability * probability, k.log_factor + std::log(factor), k.slow || slow};
      const Kind without{k.probability * (1.0 - probability), k.log_factor, k.slow};
      if (with.probability * nodes > kNever) both.push_back(with);
      if (without.probability * nodes > kNever) both.push_back(without);
    }
    kinds = std::move(both);
  };
  split(slow_probability_, slow_compute_, true);
  split(hot_probability_, hot_throttle_, false);
  for (const Episode& e : episodes_) split(e.probability, e.compute, false);

  // log P(no device of the job takes longer than exp(x)).
  const auto log_below = [&](double x) {
    double sum = 0.0;
    for (const auto& [width, of_width] : nodes_by_width) {
      double exceeds = 0.0;  // P(some device of a node takes longer)
      for (const Kind& k : kinds) {
        const double tail = (k.slow ? in_slow_node_ : ordinary_).tail(x - k.log_factor);
        exceeds += k.probability * (tail >= 1.0 ? 1.0 : -std::expm1(width * std::log1p(-tail)));
      }
      sum += of_width * std::log1p(-std::min(exceeds, 1.0));
    }
    return sum;
  };
  // Mean of the factor f = exp(x) from its distribution function F: f(a) + the integral of (1 − F)
  // df from a, below which F is 0, to b, above which it is 1.
  const auto edge = [&](double log_share) {
    double low = -1.0;  // log of factors that no scenario reaches
    double high = 1.0;
    while (log_below(low) > log_share) low *= 2.0;
    while (log_below(high) < log_share) high *= 2.0;
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + high);
      (log_below(middle) < log_share ? low : high) = middle;
    }
    return high;
  };
  constexpr double kNegligible = 1e-9;
  const double a = edge(std::log(kNegligible));
  const double b = edge(-kNegligible);
  constexpr int kIntervals = 4000;  // a distribution of few values is off by one interval at most
  double mean = std::exp(a);
  for (int i = 0; i < kIntervals; ++i) {
    const double x = a + (b - a) * (i + 0.5) / kIntervals;
    mean += -std::expm1(log_below(x)) * std::exp(x) * (b - a) / kIntervals;
  }
  return mean;
}

}  // namespace lindos::sim
