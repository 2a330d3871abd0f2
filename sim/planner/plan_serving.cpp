// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_serving.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/text_layout.h"
#include "sim/planner/chosen_replicas.h"
#include "sim/planner/make_planned_serving.h"
#include "sim/planner/serving_baselines.h"
#include "sim/planner/serving_pareto.h"
#include "sim/planner/serving_ranking.h"
#include "sim/planner/serving_short_list.h"
#include "sim/planner/serving_task.h"
#include "sim/planner/serving_verification.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"

namespace lindos::sim {

namespace {

// The solver's answers are taken for equal within this share of the objective.
constexpr double kSolverTolerance = 1e-4;

class ServingPlanner {
 public:
  ServingPlanner(const Scenario& scenario, const std::map<std::string, Profile>& profiles, const ServingQuestion& question)
      : task_(scenario, profiles, question), verification_(task_), ranking_(task_, verification_) {}

  ServingAnswer answer() {
    check_promises();
    screen();
    const ServingShortList kept = short_list(task_, screened_, answer_.pruned);
    verify(kept);
    make_plans(kept);
    ServingBaselines baselines(task_, screened_.shapes, verification_, ranking_, answer_.pruned);
    answer_.baselines = baselines.all(kept, answer_.plans.front());
    answer_.pareto = pareto_front(task_, verification_, screened_);
    answer_.verified = verification_.verified();
    for (PlannedServing& plan : answer_.plans) {
      for (const PlannedServing& baseline : answer_.baselines) {
        if (auto gain = gain_over(baseline.name, objectives(task_, baseline), objectives(task_, plan)))
          plan.gains.push_back(*std::move(gain));
      }
    }
    task_.report(1.0);
    return std::move(answer_);
  }

 private:
  // A whole answer in less time than its first token is allowed is no promise that both words mean.
  void check_promises() const {
    const Slo& slo = task_.scenario.slo;
    if (slo.ttft.count() <= 0.0 && slo.tpot.count() <= 0.0) {
      throw Error(ErrorKind::kInput, task_.scenario.name,
                  "the scenario promises nothing, so every rate keeps it; state ttft or tpot in [slo]");
    }
    if (task_.question.objective != ServingObjective::kGoodput && task_.scenario.workload.serving.rate.value() <= 0.0) {
      throw Error(ErrorKind::kInput, task_.scenario.name,
                  std::string("the least ") + name_of(task_.question.objective) +
                      " is sought for a rate, and the workload states none; give it arrival and rate");
    }
    for (const std::size_t p : task_.pools) {
      const Pool& pool = task_.scenario.cluster.pools[p];
      if (task_.question.objective != ServingObjective::kCost || pool.device_price.value() > 0.0) continue;
      throw Error(ErrorKind::kInput, task_.scenario.name,
                  "the cost of pool \"" + pool.name +
                      "\" is not known; give it device_price, such as \"2.5 $/h\", or leave the pool out (--pools)");
    }
    if (task_.scenario.cluster.power.site_cap.value() > 0.0 && added_budget(task_.scenario).value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, task_.scenario.name,
                  "the site's cap of " + number_text(task_.scenario.cluster.power.site_cap.value() / 1e6, 4) +
                      " MW is not above the idle power of the fleet with cooling, " +
                      number_text(metered(task_.scenario, Watts{0}).value() / 1e6, 4) + " MW");
    }
  }

  void screen() {
    ScreenQuestion question{task_.pools, task_.question.dtypes, task_.question.apart, !task_.closed() || task_.power_counts(),
                            task_.question.predict.cancelled,
                            [&](double done) { task_.report(0.3 * done); }};
    if (question.dtypes.empty()) question.dtypes = {task_.scenario.plan.groups.front().weight_dtype};
    screened_ = screen_shapes(task_.scenario, task_.by, task_.profiles, question);
    answer_.shapes = screened_.tried;
    answer_.points = screened_.points;
    answer_.screening_s = screened_.seconds;
    answer_.pruned = screened_.pruned;
    const auto whole = [](const PricedShape& shape) { return shape.shape.role == Role::kBoth; };
    const auto computes = [](const PricedShape& shape) { return shape.shape.role == Role::kPrefill; };
    const auto decodes = [](const PricedShape& shape) { return shape.shape.role == Role::kDecode; };
    if (any(whole) || (any(computes) && any(decodes))) return;
    std::string why = "no shape serves " + task_.scenario.model.name + " under the promises";
    for (const auto& [reason, entry] : answer_.pruned.reasons()) {
      why += "; " + with_thousands(entry.count) + ": " + reason;
      if (reason == "memory") why += " (" + entry.example + ")";
    }
    if (!screened_.nearest.empty()) why += ". Nearest: " + screened_.nearest;
    throw Error(ErrorKind::kInfeasible, task_.scenario.name, why);
  }

  [[nodiscard]] bool any(const auto& wanted) const {
    const auto has = [&](const std::vector<PricedShape>& shapes) { return std::any_of(shapes.begin(), shapes.end(), wanted); };
    return has(screened_.over) || std::any_of(screened_.shapes.begin(), screened_.shapes.end(), has);
  }

  void verify(const ServingShortList& kept) {
    std::vector<ServingVerification::Check> checks;
    for (const auto& shapes : kept.both) {
      for (PricedShape* shape : shapes) checks.push_back({shape, 0});
    }
    for (PricedShape* shape : kept.over) checks.push_back({shape, 0});
    for (const auto& [format, shapes] : kept.apart) {
      for (PricedShape* shape : shapes) checks.push_back({shape, 0});
    }
    verification_.verify(std::move(checks), 0.3, 0.8);
  }

  [[noreturn]] void refuse_demand() const {
    throw Error(ErrorKind::kInfeasible, task_.scenario.name,
                "the fleet cannot serve " + number_text(task_.scenario.workload.serving.rate.value(), 6) +
                    " requests/s under the promises and the site's power" +
                    (task_.question.survives == LostUnit::kNothing ? "" : std::string(" without a ") + name_of(task_.question.survives)));
  }

  void make_plans(const ServingShortList& kept) {
    std::vector<RankedServing> all = ranking_.all_ranked(kept, true, answer_.pruned);
    if (all.empty()) refuse_demand();
    const std::size_t shown = std::min(all.size(), static_cast<std::size_t>(task_.question.top));
    answer_.pruned.add("less than the plans shown, once allocated", static_cast<std::int64_t>(all.size() - shown));
    all.resize(shown);
    for (RankedServing& plan : all) ranking_.refine(plan);
    ranking_.sort(all);
    const auto nothing = [](const RankedServing& plan) { return plan.objective <= 0.0; };
    const auto same = [](const RankedServing& a, const RankedServing& b) { return same_replicas(a.chosen, b.chosen); };
    if (std::erase_if(all, nothing) > 0 && all.empty()) refuse_demand();
    all.erase(std::unique(all.begin(), all.end(), same), all.end());
    for (const RankedServing& plan : all) {
      answer_.plans.push_back(make_planned_serving(task_, verification_, name_of_parts(task_.scenario, plan.chosen), plan.chosen));
      if (task_.question.objective != ServingObjective::kGoodput) continue;
      const std::vector<Chosen> uncapped = ranking_.allocated(plan.shapes, false);
      const double free = task_.counted(uncapped, rates_of(uncapped));
      if (free > answer_.plans.back().requests_per_s * (1.0 + kSolverTolerance)) answer_.plans.back().without_site_cap = free;
    }
    task_.report(0.9);
  }

  const ServingTask task_;
  ServingVerification verification_;
  ServingRanking ranking_;
  ServingScreen screened_;
  ServingAnswer answer_;
};

const char* unit_of(ServingObjective objective) {
  switch (objective) {
    case ServingObjective::kGoodput: return "request/s";
    case ServingObjective::kPower: return "token/s/MW";
    case ServingObjective::kCost: return "token/$";
  }
  return "";
}

}  // namespace

const char* name_of(ServingObjective objective) {
  switch (objective) {
    case ServingObjective::kGoodput: return "goodput";
    case ServingObjective::kPower: return "power";
    case ServingObjective::kCost: return "cost";
  }
  return "";
}

const char* name_of(LostUnit unit) {
  switch (unit) {
    case LostUnit::kNothing: return "nothing";
    case LostUnit::kNode: return "node";
    case LostUnit::kRack: return "rack";
  }
  return "";
}

ServingAnswer plan_serving(const Scenario& scenario, const std::map<std::string, Profile>& profiles, const ServingQuestion& question) {
  if (scenario.workload.kind != WorkloadKind::kServing)
    throw Error(ErrorKind::kInput, scenario.name, "the workload is training, not serving");
  ServingAnswer answer = ServingPlanner(scenario, profiles, question).answer();
  answer.unit = unit_of(question.objective);
  return answer;
}

}  // namespace lindos::sim
