// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_verification.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>

#include "sim/planner/serving_load.h"
#include "sim/uncertainty.h"
#include "sim/workers.h"

namespace lindos::sim {

void ServingVerification::verify(std::vector<Check> checks, double from, double to) {
  std::erase_if(checks, [](const Check& check) { return check.shape->loads[check.step].has_value(); });
  std::vector<Check> distinct;
  for (const Check& check : checks) {
    if (std::none_of(distinct.begin(), distinct.end(), [&](const Check& c) { return c.shape == check.shape && c.step == check.step; }))
      distinct.push_back(check);
  }
  run_workers(
      workers_for(distinct.size()), distinct.size(),
      [&](std::size_t, std::size_t i) {
        task_.stop_if_cancelled();
        verify_one(*distinct[i].shape, distinct[i].step);
      },
      [&](double done) {
        if (to > from) task_.report(from + (to - from) * done);
      });
  if (!task_.closed()) verified_ += static_cast<std::int64_t>(distinct.size());
}

void ServingVerification::verify_one(PricedShape& shape, std::size_t step) const {
  if (task_.closed()) {
    const ServingPoint point =
        ServingPrices(*shape.group, task_.by.workload, Draw{}, {shape.limits[step]}).most(task_.by.strictest);
    shape.loads[step] = BorneLoad{shape.screened[step], 1.0, point.ttft, point.tpot, {}};
  } else if (step == 0) {
    shape.loads[0] = simulated(*shape.group, shape.screened[0]);
    prefer_no_offload(shape);
  } else {
    GroupPlan limited = shape.group->plan;
    limited.power_limit = shape.limits[step];
    std::string reason;
    const auto group = make_group(task_.scenario, limited, task_.profiles, reason);
    shape.loads[step] = group ? simulated(*group, shape.rate(step)) : BorneLoad{};
  }
  if (step == 0) find_sigmas(shape);
}

void ServingVerification::find_sigmas(PricedShape& shape) const {
  shape.sigmas = systematic_sigmas(shape.group->replica, totals_of(shape));
}

BorneLoad ServingVerification::simulated(ServingGroup& group, double guess) const {
  return borne_load(group, task_.by.workload, task_.by.slo, guess, task_.question.predict.seed,
                    task_.question.predict.cancelled);
}

void ServingVerification::prefer_no_offload(PricedShape& shape) const {
  if (shape.given || shape.shape.kv_offload.value() <= 0.0) return;
  ServingShape without = shape.shape;
  without.kv_offload = Bytes{0};
  GroupPlan plan = shape.group->plan;
  plan.limits.kv_offload = Bytes{0};
  std::string reason;
  auto group = make_group(task_.scenario, plan, task_.profiles, reason);
  if (!group) return;
  const BorneLoad load = simulated(*group, shape.screened[0]);
  if (load.rate < shape.loads[0]->rate) return;
  shape.shape = without;
  shape.group = std::move(group);
  shape.loads[0] = load;
}

WorkTotals ServingVerification::totals_of(PricedShape& shape) const {
  if (!task_.closed() && shape.loads.front()) return shape.loads.front()->totals;
  WorkTotals totals;
  Ledger ledger;
  const auto prompt = static_cast<std::int64_t>(std::llround(std::max(1.0, mean_tokens(task_.by.workload).prompt)));
  std::vector<Batch> steps;
  if (shape.shape.role != Role::kPrefill)
    steps.emplace_back(static_cast<std::size_t>(std::max(1.0, shape.point.batch)), Slice{prompt, 1, true});
  if (shape.shape.role != Role::kDecode) steps.push_back({Slice{0, std::min(prompt, shape.shape.budget), true}});
  for (const Batch& batch : steps) {
    for (std::size_t s = 0; s < shape.group->replica.stages(); ++s)
      book(shape.group->replica.work(batch, s, 1), shape.group->replica.ranks(s), Draw{}, ledger, totals);
  }
  return totals;
}

void ServingVerification::verify(const std::vector<Chosen>& chosen) {
  std::vector<Check> checks;
  for (const Chosen& c : chosen) checks.push_back({c.shape, c.limit_step});
  verify(std::move(checks));
}

std::vector<double> ServingVerification::drawn_ratios(PricedShape& shape, Watts limit) const {
  return drawn_ratios(shape, limit, task_.by.strictest);
}

std::vector<double> ServingVerification::drawn_ratios(PricedShape& shape, Watts limit, const Slo& promise) const {
  if (shape.sigmas.empty()) find_sigmas(shape);
  const auto most = [&](const Draw& with) {
    return ServingPrices(*shape.group, task_.by.workload, with, {limit}).most(promise).rate;
  };
  const double centre = most(Draw{});
  std::vector<double> ratios;
  for (int d = 0; d < std::max(1, task_.question.predict.draws); ++d) {
    task_.stop_if_cancelled();
    const double drawn = most(draw_factors(shape.sigmas, task_.question.predict.seed, static_cast<std::uint32_t>(d)));
    ratios.push_back(centre > 0.0 ? drawn / centre : 0.0);
  }
  return ratios;
}

}  // namespace lindos::sim
