// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/make_planned_serving.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

#include "scenarios/plan_show.h"
#include "scenarios/timeline.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"

namespace lindos::sim {

namespace {

// Some device of a replica is held below its maximum.
bool is_limited(const Scenario& scenario, const Chosen& c) {
  for (std::size_t p = 0; p < c.shape->devices.size(); ++p) {
    const Pool& pool = scenario.cluster.pools[p];
    if (c.shape->devices[p] > 0 && std::min(c.limit(), own_limit(scenario, pool)) < scenario.devices.at(pool.node.device).power_max)
      return true;
  }
  return false;
}

}  // namespace

PlannedServing make_planned_serving(const ServingTask& task, const ServingVerification& verification, const std::string& name,
                                    const std::vector<Chosen>& chosen) {
  PlannedServing plan;
  plan.name = name;
  plan.scenario = task.scenario;
  plan.scenario.plan.name = name;
  plan.scenario.plan_given = true;
  plan.scenario.plan.groups.clear();
  const std::vector<double> rates = rates_of(chosen);
  Watts added{0};
  std::map<std::string, int> names;
  std::vector<std::vector<double>> ratios;
  for (const Chosen& c : chosen) {
    added += task.added_by(c);
    GroupPlan group = c.shape->group->plan;
    group.replicas = c.replicas;
    group.routing_weight = c.weight;
    if (c.limit_step > 0) group.power_limit = c.limit();
    group.name = pools_of(task.scenario, *c.shape);
    if (c.role() != Role::kBoth) group.name += "-" + std::string(name_of(c.role()));
    if (const int again = names[group.name]++; again > 0) group.name += "-" + std::to_string(again + 1);
    const BorneLoad& load = c.shape->loads[c.limit_step] ? *c.shape->loads[c.limit_step] : *c.shape->loads.front();
    plan.parts.push_back({c.shape->shape, group.name, text_of(c.shape->shape), c.replicas, c.limit(),
                          is_limited(task.scenario, c), c.shape->screened[c.limit_step], c.rate(),
                          load.ttft, load.tpot});
    plan.scenario.plan.groups.push_back(std::move(group));
    ratios.push_back(verification.drawn_ratios(*c.shape, c.limit()));
  }
  plan.requests_per_s = task.counted(chosen, rates);
  std::vector<std::vector<double>> drawn_rates;  // [draw][part]
  for (std::size_t d = 0; d < ratios.front().size(); ++d) {
    std::vector<double>& drawn = drawn_rates.emplace_back();
    for (std::size_t i = 0; i < chosen.size(); ++i) drawn.push_back(rates[i] * ratios[i][d]);
    plan.drawn.push_back(task.counted(chosen, drawn));
  }
  const auto left_without = [&](LostUnit unit) {
    std::vector<double> left;
    for (const std::vector<double>& drawn : drawn_rates) left.push_back(served_without(unit, task.scenario, chosen, drawn));
    return DrawnRate{served_without(unit, task.scenario, chosen, rates), quantile(left, 0.1), quantile(left, 0.9)};
  };
  plan.without_node = left_without(LostUnit::kNode);
  plan.without_rack = left_without(LostUnit::kRack);
  plan.p10 = quantile(plan.drawn, 0.1);
  plan.p90 = quantile(plan.drawn, 0.9);
  plan.tokens_per_s = plan.requests_per_s * mean_tokens(task.by.workload).output;
  plan.power = metered(task.scenario, added);
  plan.cost = task.cost_of(chosen, plan.power);
  plan.objective = plan.requests_per_s * task.per_request(plan.power, plan.cost);
  return plan;
}

std::vector<double> objectives(const ServingTask& task, const PlannedServing& plan) {
  std::vector<double> out = plan.drawn;
  for (double& value : out) value *= task.per_request(plan.power, plan.cost);
  return out;
}

}  // namespace lindos::sim
