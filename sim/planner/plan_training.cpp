// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_training.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "scenarios/training_plan.h"
#include "sim/power_limit.h"
#include "sim/reliability/goodput.h"
#include "sim/reliability/reliability_input.h"
#include "sim/training/closed_training.h"
#include "sim/training/make_training_job.h"
#include "sim/training/predict_training.h"
#include "sim/training/straggler_draws.h"

namespace lindos::sim {

namespace {

using Profiles = std::map<std::string, Profile>;

// Failures favour plans that use fewer devices: steps this much longer than the scenario's plan's may still win.
constexpr double kSlowerStep = 1.1;
// Plans of the short list, per plan that is shown and at least; and of each baseline.
constexpr int kListedPerShown = 3;
constexpr int kLeastListed = 24;
constexpr std::size_t kListedBaseline = 12;
// What is listed is drawn so often to choose what is drawn in full.
constexpr int kFirstDraws = 10;

double tokens_of(const Scenario& scenario) {
  const TrainingWorkload& t = scenario.workload.training;
  return static_cast<double>(t.global_batch) * static_cast<double>(t.sequence);
}

// At most, under the limits that slow its steps.
Watts power_of(const Scenario& scenario) { return plan_power(scenario, device_limits(scenario, OtherDevices::kWork)); }

std::string changes_of(const Scenario& before, const Scenario& after) {
  const TrainingWorkload& a = before.workload.training;
  const TrainingWorkload& b = after.workload.training;
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : ", ") + text; };
  if (a.recompute != b.recompute) add(std::string("recompute ") + name_of(b.recompute));
  if (a.micro_batch != b.micro_batch) add("micro-batches of " + std::to_string(b.micro_batch));
  if (a.global_batch != b.global_batch) add("batch of " + with_thousands(b.global_batch) + " sequences");
  return out;
}

std::string plan_name(const Scenario& scenario, const TrainingChoice& choice) {
  std::string out;
  for (std::size_t i = 0; i < choice.shapes.size(); ++i) {
    TrainingShape alike = choice.shapes[i];
    alike.pool = choice.shapes.front().pool;
    const std::string pool = pools_text(scenario, choice.shapes[i]);
    if (i > 0 && !alike.last && alike == choice.shapes.front()) {
      const std::size_t end = out.find(" on ");
      if (out.find("; ") == std::string::npos && end != std::string::npos) {
        out += ", " + pool;
        continue;
      }
    }
    out += (out.empty() ? "" : "; ") + text_of(choice.shapes[i]) + " on " + pool;
  }
  return out;
}

// A plan that fits, priced as a whole.
struct WholePlan {
  TrainingChoice choice;
  Scenario scenario;
  double step_s = 0.0;      // at nominal speed
  double objective = 0.0;   // with the expected slowdown and the closed form of failures
  double rate = 0.0;        // tokens per second, the same; of a running step where that is the objective
  double kept = 1.0;        // share of wall time
};

double objective_of(TrainingObjective objective, const Scenario& scenario, Seconds step, double useful, double kept) {
  const double rate = tokens_of(scenario) / step.count();
  switch (objective) {
    case TrainingObjective::kRun:
      return rate * kept;
    case TrainingObjective::kStep:
      return rate;
    case TrainingObjective::kMfu:
      return useful;
    case TrainingObjective::kPower:
      return rate * kept / (power_of(scenario).value() / 1e6);
  }
  return 0.0;
}

// Throws Error when the plan is refused or does not fit.
WholePlan price_whole(TrainingObjective objective, TrainingChoice choice, Scenario scenario, const Profiles& profiles) {
  check_plan(scenario.plan, scenario, "plan");
  static_cast<void>(fullest_training_rank(scenario));
  const TrainingJob job = make_training_job(scenario, profiles);
  const double nominal = closed_nominal(job).step.count();
  const StragglerModel stragglers(job, scenario.cluster.faults);
  const StepOutcome outcome = closed_step(job, stragglers.expected_slowdown());
  const double kept = closed_shares(renewal_cycle(make_reliability_input(scenario, outcome.step))).productive;
  WholePlan whole{std::move(choice), std::move(scenario), nominal, 0.0, 0.0, kept};
  whole.rate = tokens_of(whole.scenario) / outcome.step.count() * (objective == TrainingObjective::kMfu ? 1.0 : kept);
  whole.objective =
      objective_of(objective, whole.scenario, outcome.step, outcome.ledger.share(Cause::kUseful), kept);
  return whole;
}

class Planner {
 public:
  Planner(const Scenario& scenario, const Profiles& profiles, const TrainingQuestion& question)
      : scenario_(scenario), profiles_(profiles), question_(question) {
    draws_.fidelity = question.predict.fidelity;
    draws_.draws = std::max(1, question.predict.draws);
    draws_.seed = question.predict.seed;
    draws_.cancelled = question.predict.cancelled;
  }

  TrainingAnswer answer() {
    const TrainingSpace space =
        training_space(scenario_, question_.pools, question_.free_ways, question_.most_batch);
    std::optional<WholePlan> own;
    try {
      own = price_whole(question_.objective, {}, scenario_, profiles_);
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::kInfeasible) throw;
      answer_.pruned.add("the scenario's own plan does not fit", 1, e.what());
    }
    SearchLimits limits;
    const bool efficient =
        question_.objective == TrainingObjective::kMfu || question_.objective == TrainingObjective::kPower;
    // A part of the fleet may well be slower than the plan that has all of it.
    if (own && uses_only(space)) {
      // Fewer devices fail less: over the run a longer step may be no slower, up to one that is never interrupted.
      const bool over_run = question_.objective == TrainingObjective::kPower;
      limits.slowest_step_s = own->step_s * (over_run ? 1.0 / own->kept : efficient ? 1.0 : kSlowerStep);
      if (efficient) least_rate_ = own->rate * (1.0 - 1e-9);
    }
    limits.cancelled = question_.predict.cancelled;
    limits.progress = [&](double done) { report(0.4 * done); };
    const SearchResult found = search_training(scenario_, space, question_.objective, profiles_, limits);
    answer_.shapes = found.shapes;
    answer_.priced = found.plans;
    answer_.pruned.add(found.pruned);
    std::vector<WholePlan> plans = whole_plans(found.choices);
    if (plans.empty()) refuse(found, own);
    std::vector<WholePlan> baselines;
    if (own) baselines.push_back(std::move(*own));
    std::vector<std::string> names;
    if (!baselines.empty()) names.emplace_back(scenario_.plan_given ? "the scenario's plan" : "the default plan");
    for (const auto& [name, choices] : found.baselines) {
      std::vector<WholePlan> priced = whole_plans(choices, false);
      if (priced.empty()) continue;
      if (priced.size() > kListedBaseline) priced.resize(kListedBaseline);
      baselines.push_back(std::move(drawn_first(std::move(priced), 1).front()));
      names.push_back(name);
      report(0.4 + 0.2 * static_cast<double>(names.size()) / static_cast<double>(found.baselines.size() + 1));
    }
    plans = short_list(std::move(plans));
    const std::size_t listed = plans.size();
    plans = drawn_first(std::move(plans), static_cast<std::size_t>(question_.top));
    const std::size_t drawn = plans.size();
    const double all = static_cast<double>(drawn + baselines.size());
    answer_.pruned.add("behind the plans shown, after a few draws", static_cast<std::int64_t>(listed - drawn));
    for (std::size_t i = 0; i < baselines.size(); ++i) {
      answer_.baselines.push_back(draw(baselines[i], names[i]));
      report(0.7 + 0.3 * static_cast<double>(i + 1) / all);
    }
    for (std::size_t i = 0; i < drawn; ++i) {
      answer_.plans.push_back(draw(plans[i], plan_name(scenario_, plans[i].choice)));
      report(0.7 + 0.3 * static_cast<double>(baselines.size() + i + 1) / all);
    }
    std::stable_sort(answer_.plans.begin(), answer_.plans.end(),
                     [](const PlannedTraining& a, const PlannedTraining& b) { return a.objective > b.objective; });
    for (PlannedTraining& plan : answer_.plans) compare(plan);
    report(1.0);
    return std::move(answer_);
  }

 private:
  void report(double done) const {
    if (question_.predict.progress) question_.predict.progress(done);
  }

  // Whether the scenario's own plan could be an answer.
  [[nodiscard]] bool uses_only(const TrainingSpace& space) const {
    const auto used = devices_by_pool(scenario_.plan);
    return std::all_of(used.begin(), used.end(), [&](const auto& pool) {
      return std::any_of(space.pools.begin(), space.pools.end(),
                         [&](std::size_t p) { return scenario_.cluster.pools[p].name == pool.first; });
    });
  }

  // Those that fit, best first.
  std::vector<WholePlan> whole_plans(const std::vector<TrainingChoice>& choices, bool counted = true) {
    std::vector<WholePlan> out;
    for (const TrainingChoice& choice : choices) {
      if (draws_.cancelled && draws_.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
      std::optional<Scenario> scenario = scenario_of(scenario_, choice);
      if (!scenario) {
        if (counted) answer_.pruned.add("whole replicas do not add up to the batch", 1, plan_name(scenario_, choice));
        continue;
      }
      scenario->plan.name = plan_name(scenario_, choice);
      try {
        out.push_back(price_whole(question_.objective, choice, std::move(*scenario), profiles_));
      } catch (const Error& e) {
        if (e.kind() != ErrorKind::kInfeasible && e.kind() != ErrorKind::kInput) throw;
        if (counted) answer_.pruned.add("does not fit once the batch is dealt out", 1, e.what());
        continue;
      }
      if (!counted) continue;
      ++answer_.whole_plans;
      if (out.back().rate < least_rate_) {
        answer_.pruned.add("slower than the scenario's plan", 1, plan_name(scenario_, choice));
        out.pop_back();
        continue;
      }
      answer_.screening_error =
          std::max(answer_.screening_error, std::abs(choice.step_s / out.back().step_s - 1.0));
    }
    std::stable_sort(out.begin(), out.end(),
                     [](const WholePlan& a, const WholePlan& b) { return a.objective > b.objective; });
    return out;
  }

  // The best `count` by a few draws: the closed form knows neither whose links are slow nor which stage is.
  std::vector<WholePlan> drawn_first(std::vector<WholePlan> plans, std::size_t count) const {
    DrawOptions few = draws_;
    few.draws = std::min(few.draws, kFirstDraws);
    few.fidelity = few.fidelity == Fidelity::kSimgrid ? Fidelity::kMaxplus : few.fidelity;
    std::vector<std::pair<double, std::size_t>> ranked;
    for (std::size_t i = 0; i < plans.size(); ++i) {
      const TrainingRun run = make_training_run(plans[i].scenario, profiles_);
      std::vector<double> drawn;
      for (const TrainingDraw& d : draw_training(run, plans[i].scenario, few).draws) {
        drawn.push_back(objective_of(question_.objective, plans[i].scenario, d.step, d.steady.share(Cause::kUseful),
                                     d.productive));
      }
      ranked.emplace_back(-quantile(drawn, 0.5), i);
    }
    std::sort(ranked.begin(), ranked.end());
    std::vector<WholePlan> out;
    for (std::size_t i = 0; i < std::min(count, ranked.size()); ++i)
      out.push_back(std::move(plans[ranked[i].second]));
    return out;
  }

  // The best of each kind, as many as are listed.
  std::vector<WholePlan> short_list(std::vector<WholePlan> plans) {
    const auto most = static_cast<std::size_t>(std::max(kLeastListed, kListedPerShown * question_.top));
    std::set<std::string> kinds;
    std::vector<WholePlan> out;
    for (WholePlan& plan : plans) {
      if (!kinds.insert(kind_of(plan.choice)).second) {
        answer_.pruned.add("not better than one alike but for chunks, priced as a whole", 1);
      } else if (out.size() == most) {
        answer_.pruned.add("slower than the short list when priced as a whole", 1);
      } else {
        out.push_back(std::move(plan));
      }
    }
    return out;
  }

  PlannedTraining draw(const WholePlan& plan, const std::string& name) {
    const TrainingRun run = make_training_run(plan.scenario, profiles_);
    const TrainingDraws drawn = draw_training(run, plan.scenario, draws_);
    PlannedTraining out;
    out.name = name;
    out.scenario = plan.scenario;
    out.changes = changes_of(scenario_, plan.scenario);
    out.record = training_record(plan.scenario, run, drawn, draws_);
    out.power = power_of(plan.scenario);
    out.screened_step_s = plan.choice.step_s;
    out.closed_step_s = plan.step_s;
    for (const TrainingDraw& d : drawn.draws) {
      out.drawn.push_back(objective_of(question_.objective, plan.scenario, d.step, d.steady.share(Cause::kUseful),
                                       d.productive));
    }
    out.objective = quantile(out.drawn, 0.5);
    return out;
  }

  void compare(PlannedTraining& plan) const {
    for (const PlannedTraining& baseline : answer_.baselines)
      if (auto gain = gain_over(baseline.name, baseline.drawn, plan.drawn)) plan.gains.push_back(*std::move(gain));
  }

  [[noreturn]] void refuse(const SearchResult& found, const std::optional<WholePlan>& own) const {
    std::string why = "no plan fits among " + with_thousands(found.shapes) + " shapes of replicas";
    for (const auto& [reason, entry] : answer_.pruned.reasons())
      why += "; " + with_thousands(entry.count) + ": " + reason;
    if (!found.nearest.empty()) why += ". Nearest: " + found.nearest;
    if (own) why += ". The scenario's own plan fits and steps in " + number_text(own->step_s, 3) + " s";
    throw Error(ErrorKind::kInfeasible, scenario_.name, why);
  }

  const Scenario& scenario_;
  const Profiles& profiles_;
  const TrainingQuestion& question_;
  DrawOptions draws_;
  double least_rate_ = 0.0;   // of plans that compete in efficiency
  TrainingAnswer answer_;
};

}  // namespace

const char* unit_of(TrainingObjective objective) {
  switch (objective) {
    case TrainingObjective::kRun:
    case TrainingObjective::kStep:
      return "token/s";
    case TrainingObjective::kMfu:
      return "1";
    case TrainingObjective::kPower:
      return "token/s/MW";
  }
  return "";
}

TrainingAnswer plan_training(const Scenario& scenario, const Profiles& profiles, const TrainingQuestion& question) {
  if (scenario.workload.kind != WorkloadKind::kTraining)
    throw Error(ErrorKind::kInput, scenario.name, "the workload is serving, not training");
  return Planner(scenario, profiles, question).answer();
}

}  // namespace lindos::sim
