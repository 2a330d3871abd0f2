// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_baselines.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "scenarios/plan_pools.h"
#include "sim/planner/make_planned_serving.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

// How a group of a given plan is cut, as far as a shape says it: what it takes and what prices it is the group's.
ServingShape shape_of(const Scenario& scenario, const GroupPlan& group) {
  const auto pool_of = [&](const StagePlan& stage) {
    return static_cast<std::size_t>(find_pool(scenario.cluster, stage.ranks.front().pool) - scenario.cluster.pools.data());
  };
  const StagePlan& first = group.stages.front();
  const StagePlan& last = group.stages.back();
  ServingShape shape{pool_of(first),
                     static_cast<std::int64_t>(first.ranks.size()),
                     static_cast<int>(group.stages.size()),
                     group.weight_dtype,
                     group.kv_dtype,
                     group.limits.max_batched_tokens,
                     group.role,
                     group.limits.kv_offload,
                     scenario.model.is_moe() && first.ranks.front().share.experts.size() < scenario.model.moe.experts,
                     std::nullopt};
  if (pool_of(last) == shape.pool) return shape;
  const auto other = std::find_if(group.stages.begin(), group.stages.end(),
                                  [&](const StagePlan& stage) { return pool_of(stage) != shape.pool; });
  shape.stages = static_cast<int>(other - group.stages.begin());
  shape.other = OtherStages{pool_of(last), static_cast<std::int64_t>(last.ranks.size()), static_cast<int>(group.stages.end() - other),
                            other->layers.begin, scenario.model.layers - other->layers.begin};
  return shape;
}

}  // namespace

std::vector<PlannedServing> ServingBaselines::all(const ServingShortList& kept, const PlannedServing& best) {
  add_own();
  add_uniform();
  if (task_.pools.size() > 1) {
    for (const std::size_t p : task_.pools) add_alone(p);
  }
  const auto apart = [](const ServingPart& part) { return part.shape.role != Role::kBoth; };
  if (std::none_of(best.parts.begin(), best.parts.end(), apart)) return std::move(baselines_);
  Pruned left_out_before;
  std::vector<RankedServing> together = ranking_.all_ranked(kept, false, left_out_before);
  if (together.empty()) return std::move(baselines_);
  ranking_.refine(together.front());
  if (!together.front().chosen.empty()) add("best with prompts and decodes together", together.front().chosen);
  return std::move(baselines_);
}

void ServingBaselines::add(const std::string& name, const std::vector<Chosen>& chosen) {
  baselines_.push_back(make_planned_serving(task_, verification_, name, chosen));
}

void ServingBaselines::add_alone(std::size_t pool) {
  PricedShape* best = nullptr;
  for (PricedShape& shape : shapes_[pool]) {
    const bool simulated = shape.shape.role == Role::kBoth && shape.loads.front();
    if (!simulated || (best != nullptr && shape.rate_per_device() <= best->rate_per_device())) continue;
    best = &shape;
  }
  if (best == nullptr) return;
  RankedServing alone = ranking_.ranked({best});
  ranking_.refine(alone);
  if (!alone.chosen.empty()) add("best on " + task_.scenario.cluster.pools[pool].name + " alone", alone.chosen);
}

void ServingBaselines::add_baseline(const std::string& name, std::vector<Chosen> chosen) {
  const bool capped = task_.scenario.cluster.power.site_cap.value() > 0.0;
  for (std::size_t step = 0; step < kLimitSteps; ++step) {
    Watts added{0};
    bool serves = true;
    for (Chosen& c : chosen) {
      c.limit_step = step;
      added += task_.added_by(c);
      serves = serves && c.shape->rate(step) > 0.0;
    }
    if (!serves) break;
    if (capped && added > added_budget(task_.scenario)) continue;
    verification_.verify(chosen);
    add(name, chosen);
    return;
  }
  pruned_.add("a baseline that cannot keep promises and site power at any common share of dynamic power", 1, name);
}

void ServingBaselines::add_own() {
  std::vector<Chosen> chosen;
  for (const GroupPlan& group : task_.scenario.plan.groups) {
    std::string reason;
    auto made = make_group(task_.scenario, group, task_.profiles, reason);
    if (!made) {
      pruned_.add("the scenario's own plan does not fit", 1, reason);
      return;
    }
    auto priced = std::make_unique<PricedShape>(priced_shape(task_.scenario, shape_of(task_.scenario, group), std::move(made)));
    screen(*priced, task_.by);
    priced->given = true;
    if (priced->screened.front() <= 0.0) {
      pruned_.add("the scenario's own plan does not keep the promises", 1, "group " + group.name);
      return;
    }
    chosen.push_back({priced.get(), 0, group.replicas, group.routing_weight});
    own_.push_back(std::move(priced));
  }
  verification_.verify(chosen);
  add_baseline(task_.scenario.plan_given ? "the scenario's plan" : "the default plan", std::move(chosen));
}

void ServingBaselines::add_uniform() {
  if (task_.pools.size() < 2) return;
  std::vector<Chosen> best;
  double best_rate = 0.0;
  for (PricedShape& first : shapes_[task_.pools.front()]) {
    if (first.shape.role != Role::kBoth) continue;
    std::vector<Chosen> chosen;
    double replicas = 0.0;
    double slowest = 0.0;
    for (const std::size_t p : task_.pools) {
      ServingShape there = first.shape;
      there.pool = p;
      const auto found = std::find_if(shapes_[p].begin(), shapes_[p].end(), [&](const PricedShape& s) {
        there.kv = s.shape.kv;
        there.kv_offload = s.shape.kv_offload;
        return s.shape == there;
      });
      if (found == shapes_[p].end()) break;
      const std::int64_t own = task_.devices_for_plans(task_.scenario.cluster.pools[p]) / there.devices();
      chosen.push_back({&*found, 0, own, 1.0});
      replicas += static_cast<double>(own);
      slowest = slowest == 0.0 ? found->screened.front() : std::min(slowest, found->screened.front());
    }
    if (chosen.size() != task_.pools.size() || slowest * replicas <= best_rate) continue;
    best_rate = slowest * replicas;
    best = chosen;
  }
  if (best.empty()) return;
  verification_.verify(best);
  add_baseline("best uniform plan, round robin", std::move(best));
}

}  // namespace lindos::sim
