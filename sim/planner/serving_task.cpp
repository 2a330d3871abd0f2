// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_task.h"

#include <algorithm>

#include "scenarios/error.h"
#include "scenarios/plan_cost.h"
#include "sim/planner/training_space.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"

namespace lindos::sim {

ServingTask::ServingTask(const Scenario& its_scenario, const std::map<std::string, Profile>& its_profiles,
                         const ServingQuestion& its_question)
    : scenario(its_scenario),
      profiles(its_profiles),
      question(its_question),
      by(judged(its_scenario)),
      pools(training_space(its_scenario, its_question.pools, false, 0).pools) {}

void ServingTask::report(double done) const {
  if (question.predict.progress) question.predict.progress(done);
}

void ServingTask::stop_if_cancelled() const {
  if (question.predict.cancelled && question.predict.cancelled())
    throw Error(ErrorKind::kCancelled, "", "cancelled");
}

std::int64_t ServingTask::devices_for_plans(const Pool& pool) const {
  return (pool.nodes - pool.spares.value_or(0)) * pool.node.devices;
}

Watts ServingTask::added_by(const PricedShape& shape, std::size_t limit_step) const {
  Watts added{0};
  for (std::size_t p = 0; p < shape.devices.size(); ++p) {
    if (shape.devices[p] == 0) continue;
    const Pool& pool = scenario.cluster.pools[p];
    const Watts limit = std::min(shape.limits[limit_step], own_limit(scenario, pool, shape.group->plan));
    added += added_per_device(scenario, pool, limit) * static_cast<double>(shape.devices[p]);
  }
  return added;
}

Watts ServingTask::added_by(const Chosen& c) const {
  return added_by(*c.shape, c.limit_step) * static_cast<double>(c.replicas);
}

DollarsPerSecond ServingTask::cost_of(const std::vector<Chosen>& chosen, Watts power) const {
  std::vector<std::int64_t> devices(scenario.cluster.pools.size(), 0);
  for (const Chosen& c : chosen) {
    for (std::size_t p = 0; p < c.shape->devices.size(); ++p) devices[p] += c.devices_in(p);
  }
  return plan_cost(scenario.cluster, devices, power).value_or(DollarsPerSecond{0});
}

double ServingTask::cost_of(const PricedShape& shape, std::size_t limit_step) const {
  const Watts added = added_by(shape, limit_step);
  if (question.objective == ServingObjective::kPower) return added.value();
  DollarsPerSecond cost = added * scenario.cluster.power.pue * scenario.cluster.power.energy_price;
  for (std::size_t p = 0; p < shape.devices.size(); ++p)
    cost += scenario.cluster.pools[p].device_price * static_cast<double>(shape.devices[p]);
  return cost.value();
}

double ServingTask::per_request(Watts power, DollarsPerSecond cost) const {
  const double tokens = mean_tokens(by.workload).output;
  if (question.objective == ServingObjective::kPower) return tokens / (power.value() / 1e6);
  if (question.objective == ServingObjective::kCost) return cost.value() > 0.0 ? tokens / cost.value() : 0.0;
  return 1.0;
}

double ServingTask::counted(const std::vector<Chosen>& chosen, const std::vector<double>& rates) const {
  return served_without(question.survives, scenario, chosen, rates);
}

}  // namespace lindos::sim
