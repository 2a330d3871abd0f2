// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/make_planned_serving.h"

#include <cstddef>
#include <map>
#include <utility>

#include "scenarios/plan_show.h"
#include "scenarios/timeline.h"
#include "sim/serving_power.h"

namespace lindos::sim {

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
    const Pool& pool = task.pool_of(c);
    added += task.added_by(c);
    GroupPlan group = c.shape->group->plan;
    group.replicas = c.replicas;
    group.routing_weight = c.weight;
    if (c.limit_step > 0) group.power_limit = c.limit();
    group.name = pool.name;
    if (c.role() != Role::kBoth) group.name += "-" + std::string(name_of(c.role()));
    if (const int again = names[group.name]++; again > 0) group.name += "-" + std::to_string(again + 1);
    const BorneLoad& load = c.shape->loads[c.limit_step] ? *c.shape->loads[c.limit_step] : *c.shape->loads.front();
    plan.parts.push_back({c.shape->shape, group.name, text_of(c.shape->shape), c.replicas, c.limit(),
                          c.limit() < task.scenario.devices.at(pool.node.device).power_max, c.shape->screened[c.limit_step], c.rate(),
                          load.ttft, load.tpot});
    plan.scenario.plan.groups.push_back(std::move(group));
    ratios.push_back(verification.drawn_ratios(*c.shape, c.limit()));
  }
  plan.requests_per_s = task.counted(chosen, rates);
  plan.without_node = served_without(LostUnit::kNode, task.scenario, chosen, rates);
  plan.without_rack = served_without(LostUnit::kRack, task.scenario, chosen, rates);
  for (std::size_t d = 0; d < ratios.front().size(); ++d) {
    std::vector<double> drawn;
    for (std::size_t i = 0; i < chosen.size(); ++i) drawn.push_back(rates[i] * ratios[i][d]);
    plan.drawn.push_back(task.counted(chosen, drawn));
  }
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
