// SPDX-License-Identifier: Apache-2.0
#include "exec/scheduler/router.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/philox.h"

namespace lindos::scheduler {

namespace {

constexpr std::uint32_t kDrawPurpose = 0x726f7574;  // "rout": no other draw of the seed uses it
constexpr std::uint32_t kHashPurpose = 0x72647673;  // "rdvs"

std::uint32_t low(std::uint64_t word) { return static_cast<std::uint32_t>(word); }
std::uint32_t high(std::uint64_t word) { return static_cast<std::uint32_t>(word >> 32U); }

}  // namespace

Router::Router(const Routing& routing, std::vector<ReplicaClass> classes, std::uint64_t seed)
    : routing_(routing),
      classes_(std::move(classes)),
      seed_(seed),
      credit_(classes_.size(), 0.0),
      turn_(classes_.size(), 0) {
  for (const ReplicaClass& c : classes_) {
    total_weight_ += c.weight * static_cast<double>(c.replicas);
    if (looks_at_load(routing.policy)) last_asked_.emplace_back(static_cast<std::size_t>(c.replicas), 0);
  }
  LINDOS_ASSERT(total_weight_ > 0.0, "a router needs a replica that it may choose");
}

double Router::load(const Target& target, const Outstanding& outstanding) const {
  return static_cast<double>(outstanding(target) + 1) / classes_[target.group].weight;
}

Target Router::in_turn() {
  for (std::size_t c = 0; c < classes_.size(); ++c)
    credit_[c] += classes_[c].weight * static_cast<double>(classes_[c].replicas);
  const auto richest = std::max_element(credit_.begin(), credit_.end());
  *richest -= total_weight_;
  const auto group = static_cast<std::size_t>(richest - credit_.begin());
  const Target target{group, turn_[group]};
  if (++turn_[group] == classes_[group].replicas) turn_[group] = 0;
  return target;
}

Target Router::drawn(std::uint64_t request, std::uint32_t draw) const {
  const PhiloxCounter bits = philox({low(request), high(request), draw, kDrawPurpose}, philox_key(seed_));
  double left = open_unit(bits[0]) * total_weight_;
  std::size_t group = 0;
  std::size_t last = 0;  // rounding may leave a rest behind the last class that can be chosen
  for (; group < classes_.size(); ++group) {
    const double own = classes_[group].weight * static_cast<double>(classes_[group].replicas);
    if (own <= 0.0) continue;
    last = group;
    if (left < own) break;
    left -= own;
  }
  group = std::min(group, last);
  const auto replicas = static_cast<std::uint64_t>(classes_[group].replicas);
  // The bias of the product is below replicas / 2^32.
  return {group, static_cast<std::int64_t>(std::uint64_t{bits[1]} * replicas >> 32U)};
}

Target Router::least(const Outstanding& outstanding) const {
  Target best;
  double best_load = std::numeric_limits<double>::infinity();
  std::uint64_t best_asked = 0;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    if (classes_[c].weight <= 0.0) continue;
    for (std::int64_t r = 0; r < classes_[c].replicas; ++r) {
      const Target target{c, r};
      const double own = load(target, outstanding);
      const std::uint64_t asked = last_asked_[c][static_cast<std::size_t>(r)];
      if (own > best_load || (own == best_load && asked >= best_asked)) continue;
      best = target;
      best_load = own;
      best_asked = asked;
    }
  }
  return best;
}

Target Router::better_of_two(std::uint64_t request, const Outstanding& outstanding) const {
  const Target first = drawn(request, 0);
  // Two draws may meet; a few more find another replica unless there is hardly one.
  constexpr std::uint32_t kMostDraws = 16;
  for (std::uint32_t draw = 1; draw < kMostDraws; ++draw) {
    const Target second = drawn(request, draw);
    if (second == first) continue;
    return load(second, outstanding) < load(first, outstanding) ? second : first;
  }
  return first;
}

Target Router::by_prefix(std::uint64_t prefix, const Outstanding& outstanding) const {
  double unfinished = 0.0;
  Target best;
  double best_score = -1.0;
  std::vector<std::pair<double, Target>> within;  // by score, those whose load is not known to be too high
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    if (classes_[c].weight <= 0.0) continue;
    for (std::int64_t r = 0; r < classes_[c].replicas; ++r) {
      unfinished += static_cast<double>(outstanding({c, r}));
      const PhiloxCounter bits = philox(
          {low(prefix), high(prefix), static_cast<std::uint32_t>(c), low(static_cast<std::uint64_t>(r))},
          philox_key(seed_ ^ kHashPurpose));
      // Highest score wins with a chance in proportion to the weight (Schindelhauer and Schomaker, SPAA 2005).
      const double score = classes_[c].weight / -std::log(open_unit(bits[0]));
      within.push_back({score, {c, r}});
    }
  }
  const double bound = routing_.load_bound * (unfinished + 1.0) / total_weight_;
  for (const auto& [score, target] : within) {
    // A replica may always have one request, or a bound below one would leave nobody.
    const double own = load(target, outstanding);
    if (outstanding(target) > 0 && own > bound) continue;
    if (score > best_score) {
      best_score = score;
      best = target;
    }
  }
  return best_score > 0.0 ? best : least(outstanding);
}

Target Router::route(const RequestSpec& request, const Outstanding& outstanding) {
  Target target;
  switch (routing_.policy) {
    case RoutingPolicy::kWeightedRoundRobin:
      return in_turn();
    case RoutingPolicy::kRandom:
      return drawn(request.id, 0);
    case RoutingPolicy::kLeastOutstanding:
      target = least(outstanding);
      break;
    case RoutingPolicy::kPowerOfTwo:
      target = better_of_two(request.id, outstanding);
      break;
    case RoutingPolicy::kPrefixAffinity:
      target = request.prefix == 0 ? least(outstanding) : by_prefix(request.prefix, outstanding);
      break;
  }
  last_asked_[target.group][static_cast<std::size_t>(target.replica)] = ++routed_;
  return target;
}

}  // namespace lindos::scheduler
