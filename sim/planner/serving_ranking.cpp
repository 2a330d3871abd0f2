// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_ranking.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include "sim/planner/allocate.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"

namespace lindos::sim {

namespace {

// How often an answer is allocated anew with the power limits simulated that it chose.
constexpr int kRefinements = 3;
// By which a demand grows at least from round to round where what a lost unit takes is sought.
constexpr double kMoreToSpare = 1.02;
// A shape with a smaller part of the replicas than that is left out where it brings less than this share of the objective.
constexpr double kLeastPart = 0.02;
constexpr double kSimplerBy = 0.005;

}  // namespace

std::vector<Chosen> ServingRanking::allocated(std::vector<PricedShape*> shapes, bool site_cap) const {
  std::vector<Chosen> best = solved(shapes, site_cap);
  while (true) {
    const PricedShape* least = nullptr;
    double replicas = 0.0;
    double fewest = 0.0;
    for (const Chosen& c : best) replicas += static_cast<double>(c.replicas);
    for (const Chosen& c : best) {
      double own = 0.0;
      for (const Chosen& other : best) own += other.shape == c.shape ? static_cast<double>(other.replicas) : 0.0;
      if (least != nullptr && own >= fewest) continue;
      least = c.shape;
      fewest = own;
    }
    if (fewest >= kLeastPart * replicas) return best;
    std::erase(shapes, least);
    std::vector<Chosen> simpler = solved(shapes, site_cap);
    if (worth(simpler) < worth(best) * (1.0 - kSimplerBy)) return best;
    best = std::move(simpler);
  }
}

double ServingRanking::worth(const std::vector<Chosen>& chosen) const {
  const double rate = task_.counted(chosen, rates_of(chosen));
  if (rate <= 0.0) return 0.0;
  Watts added{0};
  for (const Chosen& c : chosen) added += task_.added_by(c);
  const Watts power = metered(task_.scenario, added);
  return rate * task_.per_request(power, task_.cost_of(chosen, power));
}

std::vector<Chosen> ServingRanking::solved(const std::vector<PricedShape*>& shapes, bool site_cap) const {
  std::vector<ReplicaKind> kinds;
  std::vector<Chosen> chosen;
  AllocationLimits limits;
  for (const Pool& pool : task_.scenario.cluster.pools) limits.devices.push_back(task_.devices_for_plans(pool));
  for (PricedShape* shape : shapes) {
    for (std::size_t step = 0; step < kLimitSteps; ++step) {
      const double rate = shape->rate(step);
      if (rate <= 0.0) continue;
      chosen.push_back({shape, step, 1, rate});
      kinds.push_back(replica_kind(*shape, rate, task_.added_by(chosen.back()), task_.cost_of(*shape, step)));
    }
  }
  if (site_cap && task_.scenario.cluster.power.site_cap.value() > 0.0) limits.added = added_budget(task_.scenario);
  const double demand =
      task_.question.objective == ServingObjective::kGoodput ? 0.0 : task_.scenario.workload.serving.rate.value();
  limits.demand = demand;
  while (true) {
    const auto replicas = allocate(kinds, limits);
    if (!replicas) return {};
    std::vector<Chosen> used = by_load(chosen, *replicas);
    const double whole = served(used, rates_of(used));
    const double left = task_.counted(used, rates_of(used));
    if (left >= demand * (1.0 - 1e-9)) return used;
    // What is lost with a unit is asked for beside the demand; each round asks for more, so that it ends.
    limits.demand = std::max(demand + whole - left, limits.demand * kMoreToSpare);
  }
}

RankedServing ServingRanking::ranked(std::vector<PricedShape*> shapes) const {
  RankedServing out{0.0, std::move(shapes), {}};
  out.chosen = allocated(out.shapes);
  out.objective = worth(out.chosen);
  return out;
}

std::vector<RankedServing> ServingRanking::all_ranked(const ServingShortList& kept, bool apart, Pruned& pruned) const {
  std::vector<RankedServing> out;
  const auto add = [&](std::vector<PricedShape*> shapes, const std::vector<PricedShape*>& part) {
    shapes.insert(shapes.end(), part.begin(), part.end());
    RankedServing one = ranked(std::move(shapes));
    const auto same = [&](const RankedServing& other) { return same_replicas(other.chosen, one.chosen); };
    if (one.objective <= 0.0) {
      pruned.add("cannot serve the scenario's rate under the site's power", 1);
    } else if (std::any_of(out.begin(), out.end(), same)) {
      pruned.add("leads to the same replicas as another choice", 1);
    } else {
      out.push_back(std::move(one));
    }
  };
  std::vector<std::vector<PricedShape*>> parts;
  if (apart) {
    for (const auto& [format, shapes] : kept.apart) parts.push_back(shapes);
  }
  if (parts.empty()) parts.emplace_back();
  std::vector<PricedShape*> whole;
  for (const std::vector<PricedShape*>& shapes : kept.both) whole.insert(whole.end(), shapes.begin(), shapes.end());
  whole.insert(whole.end(), kept.over.begin(), kept.over.end());
  for (const std::vector<PricedShape*>& part : parts) add(whole, part);
  if (kept.both.empty()) {
    sort(out);
    return out;
  }
  std::vector<std::size_t> at(kept.both.size(), 0);
  while (true) {
    task_.stop_if_cancelled();
    std::vector<PricedShape*> one_each;
    for (std::size_t p = 0; p < at.size(); ++p) one_each.push_back(kept.both[p][at[p]]);
    for (const std::vector<PricedShape*>& part : parts) add(one_each, part);
    std::size_t p = 0;
    while (p < at.size() && ++at[p] == std::min(kKeptShapes, kept.both[p].size())) at[p++] = 0;
    if (p == at.size()) break;
  }
  sort(out);
  return out;
}

void ServingRanking::sort(std::vector<RankedServing>& plans) {
  std::stable_sort(plans.begin(), plans.end(), [](const RankedServing& a, const RankedServing& b) { return a.objective > b.objective; });
}

void ServingRanking::refine(RankedServing& plan) {
  for (int round = 0; round < kRefinements; ++round) {
    const auto known = [](const Chosen& c) { return c.shape->loads[c.limit_step].has_value(); };
    if (std::all_of(plan.chosen.begin(), plan.chosen.end(), known)) return;
    verification_.verify(plan.chosen);
    plan = ranked(std::move(plan.shapes));
  }
}

}  // namespace lindos::sim
