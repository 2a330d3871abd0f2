// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_pareto.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "sim/planner/allocate.h"
#include "sim/planner/chosen_replicas.h"
#include "sim/planner/serving_point.h"
#include "sim/serving_power.h"

namespace lindos::sim {

namespace {

constexpr double kUserSpeeds[] = {10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0};

// At one pace for a user.
struct Paced {
  PricedShape* shape = nullptr;
  double rate = 0.0;
};

// Prompts that are computed apart reach only those that decode the same format; one format of the fleet's does it here.
bool hands_over_alike(const ServingTask& task, const PricedShape& shape) {
  return shape.shape.role == Role::kBoth || shape.shape.kv == task.scenario.plan.groups.front().kv_dtype;
}

std::optional<ParetoPoint> pareto_point(const ServingTask& task, double speed,
                                        const std::map<std::tuple<std::size_t, Role, Dtype>, Paced>& best,
                                        const AllocationLimits& limits, double devices) {
  std::vector<ReplicaKind> kinds;
  std::vector<Chosen> chosen;
  for (const auto& [part, paced] : best) {
    if (paced.shape == nullptr || !hands_over_alike(task, *paced.shape)) continue;
    const ServingShape& shape = paced.shape->shape;
    chosen.push_back({paced.shape, 0, 1, paced.rate});
    kinds.push_back({shape.pool, shape.devices(), paced.rate, task.added_by(chosen.back()), 0.0, shape.role});
  }
  const auto replicas = allocate(kinds, limits);
  if (!replicas) return std::nullopt;
  ParetoPoint point;
  point.tokens_per_s_user = speed;
  const std::vector<Chosen> used = by_load(chosen, *replicas);
  std::vector<double> rates;
  Watts added{0};
  for (const Chosen& c : used) {
    rates.push_back(best.at({c.shape->shape.pool, c.role(), c.shape->shape.kv}).rate);
    added += task.added_by(c);
    point.shapes += (point.shapes.empty() ? "" : "; ") + task.pool_of(c).name + " " + short_text_of(c.shape->shape);
  }
  const double tokens = served(used, rates) * mean_tokens(task.by.workload).output;
  if (tokens <= 0.0) return std::nullopt;
  const Watts power = metered(task.scenario, added);
  point.tokens_per_s_device = tokens / devices;
  point.tokens_per_s_megawatt = tokens / (power.value() / 1e6);
  point.dollars_per_million = dollars_per_million_tokens(task.cost_of(used, power), tokens);
  return point;
}

}  // namespace

std::vector<ParetoPoint> pareto_front(const ServingTask& task, std::vector<std::vector<PricedShape>>& all_shapes) {
  std::vector<ParetoPoint> front;
  std::vector<std::pair<PricedShape*, ServingPrices>> prices;
  for (auto& shapes : all_shapes) {
    for (PricedShape& shape : shapes) prices.emplace_back(&shape, ServingPrices(*shape.group, task.by.workload));
  }
  AllocationLimits limits;
  double devices = 0.0;
  for (std::size_t p = 0; p < task.scenario.cluster.pools.size(); ++p) {
    const bool used = std::find(task.pools.begin(), task.pools.end(), p) != task.pools.end();
    limits.devices.push_back(used ? task.scenario.cluster.pools[p].devices() : 0);
    devices += static_cast<double>(limits.devices.back());
  }
  for (const double speed : kUserSpeeds) {
    task.stop_if_cancelled();
    Slo promise = task.scenario.slo;
    promise.tpot = Seconds(1.0 / speed);
    std::map<std::tuple<std::size_t, Role, Dtype>, Paced> best;
    for (const auto& [shape, price] : prices) {
      const double rate = price.most(promise).rate;
      Paced& own = best[{shape->shape.pool, shape->shape.role, shape->shape.kv}];
      if (rate <= 0.0 || (own.shape != nullptr && rate / static_cast<double>(shape->shape.devices()) <=
                                                      own.rate / static_cast<double>(own.shape->shape.devices()))) {
        continue;
      }
      own = {shape, rate};
    }
    if (auto point = pareto_point(task, speed, best, limits, devices)) front.push_back(*std::move(point));
  }
  // What keeps a quicker pace keeps a slower one as well.
  for (std::size_t i = front.size(); i-- > 1;) {
    ParetoPoint& slower = front[i - 1];
    if (slower.tokens_per_s_device >= front[i].tokens_per_s_device) continue;
    const double speed = slower.tokens_per_s_user;
    slower = front[i];
    slower.tokens_per_s_user = speed;
  }
  return front;
}

}  // namespace lindos::sim
