// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_pareto.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "scenarios/plan_cost.h"
#include "scenarios/timeline.h"
#include "sim/planner/allocate.h"
#include "sim/planner/chosen_replicas.h"
#include "sim/planner/serving_point.h"
#include "sim/serving_power.h"

namespace lindos::sim {

namespace {

constexpr double kUserSpeeds[] = {10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0};

// Shapes of which one is enough: on the same pools, of the same role and KV.
using Part = std::tuple<std::size_t, std::optional<std::size_t>, Role, Dtype>;
Part part_of(const ServingShape& shape) {
  return {shape.pool, shape.other ? std::optional(shape.other->pool) : std::nullopt, shape.role, shape.kv};
}

// At one pace for a user.
struct Paced {
  PricedShape* shape = nullptr;
  double rate = 0.0;
};

// Prompts that are computed apart reach only those that decode the same format; one format of the fleet's does it here.
bool hands_over_alike(const ServingTask& task, const PricedShape& shape) {
  return shape.shape.role == Role::kBoth || shape.shape.kv == task.scenario.plan.groups.front().kv_dtype;
}

std::optional<ParetoPoint> pareto_point(const ServingTask& task, const ServingVerification& verification, const Slo& promise,
                                        const std::map<Part, Paced>& best,
                                        const AllocationLimits& limits, double devices) {
  std::vector<ReplicaKind> kinds;
  std::vector<Chosen> chosen;
  for (const auto& [part, paced] : best) {
    if (paced.shape == nullptr || !hands_over_alike(task, *paced.shape)) continue;
    chosen.push_back({paced.shape, 0, 1, paced.rate});
    kinds.push_back(replica_kind(*paced.shape, paced.rate, task.added_by(chosen.back()), 0.0));
  }
  const auto replicas = allocate(kinds, limits);
  if (!replicas) return std::nullopt;
  ParetoPoint point;
  point.tokens_per_s_user = 1.0 / promise.tpot.count();
  const std::vector<Chosen> used = by_load(chosen, *replicas);
  std::vector<double> rates;
  Watts added{0};
  for (const Chosen& c : used) {
    rates.push_back(best.at(part_of(c.shape->shape)).rate);
    added += task.added_by(c);
    point.shapes += (point.shapes.empty() ? "" : "; ") + pools_of(task.scenario, *c.shape) + " " + short_text_of(c.shape->shape);
  }
  const double each = mean_tokens(task.by.workload).output;
  const double tokens = served(used, rates) * each;
  if (tokens <= 0.0) return std::nullopt;
  std::vector<std::vector<double>> ratios;
  for (const Chosen& c : used) ratios.push_back(verification.drawn_ratios(*c.shape, c.limit(), promise));
  std::vector<double> drawn;
  for (std::size_t d = 0; d < ratios.front().size(); ++d) {
    std::vector<double> drawn_rates;
    for (std::size_t i = 0; i < used.size(); ++i) drawn_rates.push_back(rates[i] * ratios[i][d]);
    drawn.push_back(served(used, drawn_rates) * each / devices);
  }
  point.p10 = quantile(drawn, 0.1);
  point.p90 = quantile(drawn, 0.9);
  const Watts power = metered(task.scenario, added);
  point.tokens_per_s_device = tokens / devices;
  point.tokens_per_s_megawatt = tokens / (power.value() / 1e6);
  point.dollars_per_million = dollars_per_million_tokens(task.cost_of(used, power), tokens);
  return point;
}

}  // namespace

std::vector<ParetoPoint> pareto_front(const ServingTask& task, const ServingVerification& verification, ServingScreen& screened) {
  std::vector<ParetoPoint> front;
  std::vector<std::pair<PricedShape*, ServingPrices>> prices;
  const auto price = [&](std::vector<PricedShape>& shapes) {
    for (PricedShape& shape : shapes) prices.emplace_back(&shape, ServingPrices(*shape.group, task.by.workload));
  };
  for (std::vector<PricedShape>& shapes : screened.shapes) price(shapes);
  price(screened.over);
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
    std::map<Part, Paced> best;
    for (const auto& [shape, priced] : prices) {
      const double rate = priced.most(promise).rate;
      Paced& own = best[part_of(shape->shape)];
      if (rate <= 0.0 || (own.shape != nullptr && rate / static_cast<double>(shape->all_devices()) <=
                                                      own.rate / static_cast<double>(own.shape->all_devices()))) {
        continue;
      }
      own = {shape, rate};
    }
    if (auto point = pareto_point(task, verification, promise, best, limits, devices)) front.push_back(*std::move(point));
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
