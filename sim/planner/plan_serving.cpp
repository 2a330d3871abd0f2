// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_serving.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/plan_show.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "sim/planner/allocate.h"
#include "sim/planner/serving_load.h"
#include "sim/planner/training_space.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"
#include "sim/uncertainty.h"
#include "sim/workers.h"

namespace lindos::sim {

namespace {

using Profiles = std::map<std::string, Profile>;

// Shapes of a pool that stay in the running once all are screened; of those that do a part of the work only the first.
constexpr std::size_t kKeptShapes = 3;
// How often an answer is allocated anew with the power limits simulated that it chose.
constexpr int kRefinements = 3;
// By which a demand grows at least from round to round where what a lost unit takes is sought.
constexpr double kMoreToSpare = 1.02;
// The solver's answers are taken for equal within this share of the objective.
constexpr double kSolverTolerance = 1e-4;
// A shape with a smaller part of the replicas than that is left out where it brings less than this share of the objective.
constexpr double kLeastPart = 0.02;
constexpr double kSimplerBy = 0.005;
constexpr double kUserSpeeds[] = {10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0};

const Device& device_of(const Scenario& scenario, const Pool& pool) { return scenario.devices.at(pool.node.device); }

// One kind of replica in a plan.
struct Chosen {
  PricedShape* shape;
  std::size_t limit_step;
  std::int64_t replicas;
  double weight;   // of routing, per replica
  [[nodiscard]] Watts limit() const { return shape->limits[limit_step]; }
  [[nodiscard]] double rate() const { return shape->rate(limit_step); }
  [[nodiscard]] Role role() const { return shape->shape.role; }
  [[nodiscard]] double devices() const { return static_cast<double>(shape->shape.devices() * replicas); }
  [[nodiscard]] double total_weight() const { return weight * static_cast<double>(replicas); }
};

// What the parts serve together at these rates of one replica each: requests go out by weight, prompts and what follows
// apart, so that the first part to reach its limit ends it.
double served(const std::vector<Chosen>& chosen, const std::vector<double>& rates) {
  double entered = 0.0;
  double prompts = 0.0;
  double decoded = 0.0;
  for (const Chosen& c : chosen) {
    (c.role() == Role::kDecode ? decoded : entered) += c.total_weight();
    if (c.role() == Role::kPrefill) prompts += c.total_weight();
  }
  if (entered <= 0.0 || (prompts > 0.0 && decoded <= 0.0)) return 0.0;
  double most = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const double share = chosen[i].role() == Role::kDecode ? prompts / entered * chosen[i].total_weight() / decoded
                                                          : chosen[i].total_weight() / entered;
    if (share > 0.0) most = std::min(most, rates[i] * static_cast<double>(chosen[i].replicas) / share);
  }
  return std::isfinite(most) ? most : 0.0;
}

std::vector<double> rates_of(const std::vector<Chosen>& chosen) {
  std::vector<double> rates;
  for (const Chosen& c : chosen) rates.push_back(c.rate());
  return rates;
}

std::int64_t devices_of(const Pool& pool, LostUnit unit) {
  return pool.node.devices * (unit == LostUnit::kRack ? std::max<std::int64_t>(1, pool.nodes_per_rack) : 1);
}

class ServingPlanner {
 public:
  ServingPlanner(const Scenario& scenario, const Profiles& profiles, const ServingQuestion& question)
      : scenario_(scenario), profiles_(profiles), question_(question), by_(judged(scenario)) {
    pools_ = training_space(scenario, question.pools, false, 0).pools;
  }

  ServingAnswer answer() {
    check_promises();
    screen();
    const Kept kept = best_shapes();
    verify(kept);
    make_plans(kept);
    make_baselines(kept);
    make_pareto();
    for (PlannedServing& plan : answer_.plans) {
      for (const PlannedServing& baseline : answer_.baselines) {
        if (auto gain = gain_over(baseline.name, objectives(baseline), objectives(plan))) plan.gains.push_back(*std::move(gain));
      }
    }
    report(1.0);
    return std::move(answer_);
  }

 private:
  // What stays in the running.
  struct Kept {
    std::vector<std::vector<PricedShape*>> both;             // [pool with any]
    std::map<Dtype, std::vector<PricedShape*>> apart;        // by format of the KV that they hand over
  };

  void report(double done) const {
    if (question_.predict.progress) question_.predict.progress(done);
  }
  void stop_if_cancelled() const {
    if (question_.predict.cancelled && question_.predict.cancelled())
      throw Error(ErrorKind::kCancelled, "", "cancelled");
  }
  [[nodiscard]] const Pool& pool_of(const PricedShape& shape) const { return scenario_.cluster.pools[shape.shape.pool]; }
  [[nodiscard]] const Pool& pool_of(const Chosen& chosen) const { return pool_of(*chosen.shape); }
  // Of all of these replicas, above what the site draws at rest.
  [[nodiscard]] Watts added_by(const Chosen& c) const {
    return added_per_device(scenario_, pool_of(c), c.limit()) * c.devices();
  }
  [[nodiscard]] std::int64_t devices_for_plans(const Pool& pool) const {
    return (pool.nodes - pool.spares.value_or(0)) * pool.node.devices;
  }

  // A whole answer in less time than its first token is allowed is no promise that both words mean.
  void check_promises() const {
    const Slo& slo = scenario_.slo;
    if (slo.ttft.count() <= 0.0 && slo.tpot.count() <= 0.0) {
      throw Error(ErrorKind::kInput, scenario_.name,
                  "the scenario promises nothing, so every rate keeps it; state ttft or tpot in [slo]");
    }
    if (question_.objective != ServingObjective::kGoodput && scenario_.workload.serving.rate.value() <= 0.0) {
      throw Error(ErrorKind::kInput, scenario_.name,
                  std::string("the least ") + name_of(question_.objective) +
                      " is sought for a rate, and the workload states none; give it arrival and rate");
    }
    for (const std::size_t p : pools_) {
      const Pool& pool = scenario_.cluster.pools[p];
      if (question_.objective != ServingObjective::kCost || pool.device_price.value() > 0.0) continue;
      throw Error(ErrorKind::kInput, scenario_.name,
                  "the cost of pool \"" + pool.name +
                      "\" is not known; give it device_price, such as \"2.5 $/h\", or leave the pool out (--pools)");
    }
    if (scenario_.cluster.power.site_cap.value() > 0.0 && added_budget(scenario_).value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, scenario_.name,
                  "the site's cap of " + number_text(scenario_.cluster.power.site_cap.value() / 1e6, 4) +
                      " MW is not above the idle power of the fleet with cooling, " +
                      number_text(metered(scenario_, Watts{0}).value() / 1e6, 4) + " MW");
    }
  }

  // ---- screening ---------------------------------------------------------------------------------------------------

  void screen() {
    ScreenQuestion question{pools_, question_.dtypes, question_.apart, question_.predict.cancelled,
                            [&](double done) { report(0.3 * done); }};
    if (question.dtypes.empty()) question.dtypes = {scenario_.plan.groups.front().weight_dtype};
    ServingScreen screened = screen_shapes(scenario_, by_, profiles_, question);
    shapes_ = std::move(screened.shapes);
    answer_.shapes = screened.tried;
    answer_.points = screened.points;
    answer_.screening_s = screened.seconds;
    answer_.pruned = screened.pruned;
    const auto whole = [](const PricedShape& shape) { return shape.shape.role == Role::kBoth; };
    const auto computes = [](const PricedShape& shape) { return shape.shape.role == Role::kPrefill; };
    const auto decodes = [](const PricedShape& shape) { return shape.shape.role == Role::kDecode; };
    if (any(whole) || (any(computes) && any(decodes))) return;
    std::string why = "no shape serves " + scenario_.model.name + " under the promises";
    for (const auto& [reason, entry] : answer_.pruned.reasons()) {
      why += "; " + with_thousands(entry.count) + ": " + reason;
      if (reason == "memory") why += " (" + entry.example + ")";
    }
    if (!screened.nearest.empty()) why += ". Nearest: " + screened.nearest;
    throw Error(ErrorKind::kInfeasible, scenario_.name, why);
  }

  [[nodiscard]] bool any(const auto& wanted) const {
    return std::any_of(shapes_.begin(), shapes_.end(),
                       [&](const std::vector<PricedShape>& shapes) { return std::any_of(shapes.begin(), shapes.end(), wanted); });
  }

  // The first `count` of those that differ from each other in more than the tokens of a step.
  static std::vector<PricedShape*> different(const std::vector<PricedShape*>& ranked, std::size_t count) {
    std::vector<PricedShape*> out;
    for (PricedShape* shape : ranked) {
      if (out.size() == count) break;
      const bool known = std::any_of(out.begin(), out.end(), [&](const PricedShape* kept) {
        ServingShape alike = shape->shape;
        alike.budget = kept->shape.budget;
        return alike == kept->shape;
      });
      if (!known) out.push_back(shape);
    }
    return out;
  }

  // The most load that a shape bears per watt that it adds, over all limits.
  [[nodiscard]] double rate_per_watt(const PricedShape& shape) const {
    double most = 0.0;
    for (std::size_t step = 0; step < kLimitSteps; ++step) {
      const Watts added = added_per_device(scenario_, pool_of(shape), shape.limits[step]) * static_cast<double>(shape.shape.devices());
      most = std::max(most, shape.screened[step] / added.value());
    }
    return most;
  }

  // Per pool and role, by load per device; where power counts, also by load per watt. All where none has to be simulated.
  [[nodiscard]] Kept best_shapes() {
    const bool power = scenario_.cluster.power.site_cap.value() > 0.0 || question_.objective != ServingObjective::kGoodput;
    Kept kept;
    std::size_t left_out = 0;
    for (std::vector<PricedShape>& shapes : shapes_) {
      std::map<std::pair<Role, Dtype>, std::vector<PricedShape*>> parts;
      for (PricedShape& shape : shapes) {
        const bool whole = shape.shape.role == Role::kBoth;
        parts[{shape.shape.role, whole ? Dtype::kBf16 : shape.shape.kv}].push_back(&shape);
      }
      for (auto& [part, all] : parts) {
        const auto by = [&, &all = all](const auto& value) {
          std::sort(all.begin(), all.end(), [&](const PricedShape* a, const PricedShape* b) {
            const double x = value(*a);
            const double y = value(*b);
            return x != y ? x > y : a->shape < b->shape;
          });
        };
        by([](const PricedShape& shape) { return shape.screened.front() / static_cast<double>(shape.shape.devices()); });
        const bool closed = question_.predict.fidelity == Fidelity::kClosed;
        std::vector<PricedShape*> best = different(all, closed ? all.size() : part.first == Role::kBoth ? kKeptShapes : 1);
        if (power) {
          by([&](const PricedShape& shape) { return rate_per_watt(shape); });
          if (std::find(best.begin(), best.end(), all.front()) == best.end()) best.push_back(all.front());
        }
        left_out += all.size() - best.size();
        if (part.first == Role::kBoth) {
          kept.both.push_back(best);
        } else {
          auto& apart = kept.apart[part.second];
          apart.insert(apart.end(), best.begin(), best.end());
        }
      }
    }
    // Half of the work alone serves nobody.
    std::erase_if(kept.apart, [](const auto& apart) {
      const auto has = [&](Role role) {
        return std::any_of(apart.second.begin(), apart.second.end(), [&](const PricedShape* s) { return s->shape.role == role; });
      };
      return !has(Role::kPrefill) || !has(Role::kDecode);
    });
    answer_.pruned.add(power ? "bears less load per device and per watt than the best of its pool"
                             : "bears less load per device than the best of its pool",
                       static_cast<std::int64_t>(left_out));
    return kept;
  }

  // ---- verification ------------------------------------------------------------------------------------------------

  struct Check {
    PricedShape* shape;
    std::size_t step;
  };

  // Simulates what has not been yet, on as many threads as there are cores. REQUIRES: of each shape the loosest limit alone, or
  // it is known: no two threads share a group.
  void verify(std::vector<Check> checks, double from = 0.0, double to = 0.0) {
    std::erase_if(checks, [](const Check& check) { return check.shape->loads[check.step].has_value(); });
    std::vector<Check> distinct;
    for (const Check& check : checks) {
      if (std::none_of(distinct.begin(), distinct.end(), [&](const Check& c) { return c.shape == check.shape && c.step == check.step; }))
        distinct.push_back(check);
    }
    run_workers(
        workers_for(distinct.size()), distinct.size(),
        [&](std::size_t, std::size_t i) {
          stop_if_cancelled();
          verify_one(*distinct[i].shape, distinct[i].step);
        },
        [&](double done) {
          if (to > from) report(from + (to - from) * done);
        });
    if (question_.predict.fidelity != Fidelity::kClosed) answer_.verified += static_cast<std::int64_t>(distinct.size());
  }

  void verify_one(PricedShape& shape, std::size_t step) const {
    if (question_.predict.fidelity == Fidelity::kClosed) {
      const ServingPoint point =
          ServingPrices(*shape.group, by_.workload, Draw{}, {shape.limits[step]}).most(by_.strictest);
      shape.loads[step] = BorneLoad{shape.screened[step], 1.0, point.ttft, point.tpot, {}};
    } else if (step == 0) {
      shape.loads[0] = simulated(*shape.group, shape.screened[0]);
      prefer_no_offload(shape);
    } else {
      GroupPlan limited = shape.group->plan;
      limited.power_limit = shape.limits[step];
      std::string reason;
      const auto group = make_group(scenario_, limited, profiles_, reason);
      shape.loads[step] = group ? simulated(*group, shape.rate(step)) : BorneLoad{};
    }
    if (step == 0) shape.sigmas = systematic_sigmas(shape.group->replica, totals_of(shape));
  }

  [[nodiscard]] BorneLoad simulated(ServingGroup& group, double guess) const {
    return borne_load(group, by_.workload, by_.slo, guess, question_.predict.seed,
                      question_.predict.cancelled);
  }

  // Host memory for KV is taken where it brings something.
  void prefer_no_offload(PricedShape& shape) const {
    if (shape.given || shape.shape.kv_offload.value() <= 0.0) return;
    ServingShape without = shape.shape;
    without.kv_offload = Bytes{0};
    GroupPlan plan = shape.group->plan;
    plan.limits.kv_offload = Bytes{0};
    std::string reason;
    auto group = make_group(scenario_, plan, profiles_, reason);
    if (!group) return;
    const BorneLoad load = simulated(*group, shape.screened[0]);
    if (load.rate < shape.loads[0]->rate) return;
    shape.shape = without;
    shape.group = std::move(group);
    shape.loads[0] = load;
  }

  // Where the prices of a shape come from: those of its run, or of a step of its decodes and one of a prompt.
  [[nodiscard]] WorkTotals totals_of(PricedShape& shape) const {
    if (question_.predict.fidelity != Fidelity::kClosed) return shape.loads.front()->totals;
    WorkTotals totals;
    Ledger ledger;
    const auto prompt = static_cast<std::int64_t>(std::llround(std::max(1.0, mean_tokens(by_.workload).prompt)));
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

  void verify(const Kept& kept) {
    std::vector<Check> checks;
    for (const auto& shapes : kept.both) {
      for (PricedShape* shape : shapes) checks.push_back({shape, 0});
    }
    for (const auto& [format, shapes] : kept.apart) {
      for (PricedShape* shape : shapes) checks.push_back({shape, 0});
    }
    verify(std::move(checks), 0.3, 0.8);
  }

  void verify_chosen(const std::vector<Chosen>& chosen) {
    std::vector<Check> checks;
    for (const Chosen& c : chosen) checks.push_back({c.shape, c.limit_step});
    verify(std::move(checks));
  }

  // Load of a shape by draw, as screened, relative to its centre: what one kernel price off by a factor does.
  [[nodiscard]] std::vector<double> drawn_ratios(PricedShape& shape, Watts limit) const {
    const auto most = [&](const Draw& with) {
      return ServingPrices(*shape.group, by_.workload, with, {limit}).most(by_.strictest).rate;
    };
    const double centre = most(Draw{});
    std::vector<double> ratios;
    for (int d = 0; d < std::max(1, question_.predict.draws); ++d) {
      stop_if_cancelled();
      const double drawn = most(draw_factors(shape.sigmas, question_.predict.seed, static_cast<std::uint32_t>(d)));
      ratios.push_back(centre > 0.0 ? drawn / centre : 0.0);
    }
    return ratios;
  }

  // ---- plans -------------------------------------------------------------------------------------------------------

  // The same without the unit whose loss costs most; the router goes on by the same weights. The parts of a pool lie one behind
  // the other, each from the start of a unit's node.
  [[nodiscard]] double served_without(LostUnit unit, const std::vector<Chosen>& chosen, const std::vector<double>& rates) const {
    double least = served(chosen, rates);
    if (unit == LostUnit::kNothing) return least;
    for (const std::size_t p : pools_) {
      const std::int64_t size = devices_of(scenario_.cluster.pools[p], unit);
      // Units at the ends of parts hold two of them; all between are like the second of a part.
      std::set<std::int64_t> units;
      std::int64_t begin = 0;
      for (const Chosen& c : chosen) {
        if (c.shape->shape.pool != p) continue;
        const std::int64_t end = begin + c.shape->shape.devices() * c.replicas;
        units.insert({begin / size, begin / size + 1, (end - 1) / size});
        begin = end;
      }
      for (const std::int64_t lost : units) least = std::min(least, served(left_without(p, lost * size, size, chosen), rates));
    }
    return least;
  }

  // Without `size` devices of the pool from the `first` on.
  static std::vector<Chosen> left_without(std::size_t pool, std::int64_t first, std::int64_t size, std::vector<Chosen> chosen) {
    std::int64_t begin = 0;
    for (Chosen& c : chosen) {
      if (c.shape->shape.pool != pool) continue;
      const std::int64_t each = c.shape->shape.devices();
      const std::int64_t end = begin + each * c.replicas;
      const std::int64_t from = std::max(begin, first);
      const std::int64_t to = std::min(end, first + size);
      if (from < to) c.replicas -= (to - begin + each - 1) / each - (from - begin) / each;
      begin = end;
    }
    return chosen;
  }

  [[nodiscard]] double counted(const std::vector<Chosen>& chosen, const std::vector<double>& rates) const {
    return served_without(question_.survives, chosen, rates);
  }

  PlannedServing plan_of(const std::string& name, const std::vector<Chosen>& chosen) {
    PlannedServing plan;
    plan.name = name;
    plan.scenario = scenario_;
    plan.scenario.plan.name = name;
    plan.scenario.plan_given = true;
    plan.scenario.plan.groups.clear();
    const std::vector<double> rates = rates_of(chosen);
    Watts added{0};
    std::map<std::string, int> names;
    std::vector<std::vector<double>> ratios;
    for (const Chosen& c : chosen) {
      const Pool& pool = pool_of(c);
      added += added_by(c);
      GroupPlan group = c.shape->group->plan;
      group.replicas = c.replicas;
      group.routing_weight = c.weight;
      if (c.limit_step > 0) group.power_limit = c.limit();
      group.name = pool.name;
      if (c.role() != Role::kBoth) group.name += "-" + std::string(name_of(c.role()));
      if (const int again = names[group.name]++; again > 0) group.name += "-" + std::to_string(again + 1);
      const BorneLoad& load = c.shape->loads[c.limit_step] ? *c.shape->loads[c.limit_step] : *c.shape->loads.front();
      plan.parts.push_back({c.shape->shape, group.name, text_of(c.shape->shape), c.replicas, c.limit(),
                            c.limit() < device_of(scenario_, pool).power_max, c.shape->screened[c.limit_step], c.rate(),
                            load.ttft, load.tpot});
      plan.scenario.plan.groups.push_back(std::move(group));
      ratios.push_back(drawn_ratios(*c.shape, c.limit()));
    }
    plan.requests_per_s = counted(chosen, rates);
    plan.without_node = served_without(LostUnit::kNode, chosen, rates);
    plan.without_rack = served_without(LostUnit::kRack, chosen, rates);
    for (std::size_t d = 0; d < ratios.front().size(); ++d) {
      std::vector<double> drawn;
      for (std::size_t i = 0; i < chosen.size(); ++i) drawn.push_back(rates[i] * ratios[i][d]);
      plan.drawn.push_back(counted(chosen, drawn));
    }
    plan.p10 = quantile(plan.drawn, 0.1);
    plan.p90 = quantile(plan.drawn, 0.9);
    plan.tokens_per_s = plan.requests_per_s * mean_tokens(by_.workload).output;
    plan.power = metered(scenario_, added);
    plan.cost = cost_of(chosen, plan.power);
    plan.objective = plan.requests_per_s * per_request(plan.power, plan.cost);
    return plan;
  }

  // What a request per second counts in the objective of a plan that draws and costs so much; 0: that is not known.
  [[nodiscard]] double per_request(Watts power, DollarsPerSecond cost) const {
    const double tokens = mean_tokens(by_.workload).output;
    if (question_.objective == ServingObjective::kPower) return tokens / (power.value() / 1e6);
    if (question_.objective == ServingObjective::kCost) return cost.value() > 0.0 ? tokens / cost.value() : 0.0;
    return 1.0;
  }

  [[nodiscard]] std::vector<double> objectives(const PlannedServing& plan) const {
    std::vector<double> out = plan.drawn;
    for (double& value : out) value *= per_request(plan.power, plan.cost);
    return out;
  }

  // 0 where a price is not known.
  [[nodiscard]] DollarsPerSecond cost_of(const std::vector<Chosen>& chosen, Watts power) const {
    DollarsPerSecond sum = power * scenario_.cluster.power.energy_price;
    for (const Chosen& c : chosen) {
      const DollarsPerSecond price = pool_of(c).device_price;
      if (price.value() <= 0.0) return DollarsPerSecond{0};
      sum += price * c.devices();
    }
    return sum;
  }

  // What a demand is served with the least of.
  [[nodiscard]] double cost_of(const PricedShape& shape, std::size_t step) const {
    const Pool& pool = scenario_.cluster.pools[shape.shape.pool];
    const auto devices = static_cast<double>(shape.shape.devices());
    const Watts added = added_per_device(scenario_, pool, shape.limits[step]) * devices;
    if (question_.objective == ServingObjective::kPower) return added.value();
    return (pool.device_price * devices + added * scenario_.cluster.power.pue * scenario_.cluster.power.energy_price).value();
  }

  // The best replicas of these shapes under the power and the devices; requests by load. What a few replicas more of another
  // shape would bring is left out: a fleet that is simpler to run is worth it, and every router must see one of each.
  [[nodiscard]] std::vector<Chosen> allocated(std::vector<PricedShape*> shapes, bool site_cap = true) const {
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

  // The objective.
  [[nodiscard]] double worth(const std::vector<Chosen>& chosen) const {
    const double rate = counted(chosen, rates_of(chosen));
    if (rate <= 0.0) return 0.0;
    Watts added{0};
    for (const Chosen& c : chosen) added += added_by(c);
    const Watts power = metered(scenario_, added);
    return rate * per_request(power, cost_of(chosen, power));
  }

  [[nodiscard]] std::vector<Chosen> solved(const std::vector<PricedShape*>& shapes, bool site_cap) const {
    std::vector<ReplicaKind> kinds;
    std::vector<Chosen> chosen;
    AllocationLimits limits;
    for (const Pool& pool : scenario_.cluster.pools) limits.devices.push_back(devices_for_plans(pool));
    for (PricedShape* shape : shapes) {
      for (std::size_t step = 0; step < kLimitSteps; ++step) {
        const double rate = shape->rate(step);
        if (rate <= 0.0) continue;
        chosen.push_back({shape, step, 1, rate});
        kinds.push_back({shape->shape.pool, shape->shape.devices(), rate, added_by(chosen.back()), cost_of(*shape, step),
                         shape->shape.role});
      }
    }
    if (site_cap && scenario_.cluster.power.site_cap.value() > 0.0) limits.added = added_budget(scenario_);
    const double demand =
        question_.objective == ServingObjective::kGoodput ? 0.0 : scenario_.workload.serving.rate.value();
    limits.demand = demand;
    while (true) {
      const auto replicas = allocate(kinds, limits);
      if (!replicas) return {};
      std::vector<Chosen> used = by_load(chosen, *replicas);
      const double whole = served(used, rates_of(used));
      const double left = counted(used, rates_of(used));
      if (left >= demand * (1.0 - 1e-9)) return used;
      // What is lost with a unit is asked for beside the demand; each round asks for more, so that it ends.
      limits.demand = std::max(demand + whole - left, limits.demand * kMoreToSpare);
    }
  }

  // Those that there are, with routing by load: prompts that are computed apart as many as can be decoded. REQUIRES: weights of
  // `kinds` are the rates of one replica.
  static std::vector<Chosen> by_load(const std::vector<Chosen>& kinds, const std::vector<std::int64_t>& replicas) {
    double prompts = 0.0;
    double decodes = 0.0;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      const double rate = kinds[i].weight * static_cast<double>(replicas[i]);
      if (kinds[i].role() == Role::kPrefill) prompts += rate;
      if (kinds[i].role() == Role::kDecode) decodes += rate;
    }
    const double apart = std::min(prompts, decodes);
    std::vector<Chosen> used;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
      if (replicas[i] == 0 || (kinds[i].role() != Role::kBoth && apart <= 0.0)) continue;
      used.push_back(kinds[i]);
      used.back().replicas = replicas[i];
      if (kinds[i].role() == Role::kPrefill) used.back().weight *= apart / prompts;
    }
    return used;
  }

  [[nodiscard]] std::string name_of_parts(const std::vector<Chosen>& chosen) const {
    std::vector<std::string> parts;
    for (const Chosen& c : chosen) {
      const std::string part = text_of(c.shape->shape) + " on " + pool_of(c).name;
      if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
    }
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
    return out;
  }

  struct Ranked {
    double objective = 0.0;
    std::vector<PricedShape*> shapes;
    std::vector<Chosen> chosen;
  };

  [[nodiscard]] Ranked ranked(std::vector<PricedShape*> shapes) const {
    Ranked out{0.0, std::move(shapes), {}};
    out.chosen = allocated(out.shapes);
    out.objective = worth(out.chosen);
    return out;
  }

  // All shapes together, which is the best there is, and one shape per pool for replicas that do both; each with all that do a
  // part of the work, if any do.
  [[nodiscard]] std::vector<Ranked> all_ranked(const Kept& kept, bool apart, Pruned& pruned) const {
    std::vector<Ranked> out;
    const auto add = [&](std::vector<PricedShape*> shapes, const std::vector<PricedShape*>& part) {
      shapes.insert(shapes.end(), part.begin(), part.end());
      Ranked one = ranked(std::move(shapes));
      const auto same = [&](const Ranked& other) { return same_replicas(other.chosen, one.chosen); };
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
    for (const std::vector<PricedShape*>& part : parts) add(whole, part);
    std::vector<std::size_t> at(kept.both.size(), 0);
    while (true) {
      stop_if_cancelled();
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

  static bool same_replicas(const std::vector<Chosen>& a, const std::vector<Chosen>& b) {
    const auto same = [](const Chosen& x, const Chosen& y) {
      return x.shape == y.shape && x.limit_step == y.limit_step && x.replicas == y.replicas;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
  }

  static void sort(std::vector<Ranked>& plans) {
    std::stable_sort(plans.begin(), plans.end(), [](const Ranked& a, const Ranked& b) { return a.objective > b.objective; });
  }

  // Simulates the power limits that were chosen, and chooses again.
  void refine(Ranked& plan) {
    for (int round = 0; round < kRefinements; ++round) {
      const auto known = [](const Chosen& c) { return c.shape->loads[c.limit_step].has_value(); };
      if (std::all_of(plan.chosen.begin(), plan.chosen.end(), known)) return;
      verify_chosen(plan.chosen);
      plan = ranked(std::move(plan.shapes));
    }
  }

  [[noreturn]] void refuse_demand() const {
    throw Error(ErrorKind::kInfeasible, scenario_.name,
                "the fleet cannot serve " + number_text(scenario_.workload.serving.rate.value(), 6) +
                    " requests/s under the promises and the site's power" +
                    (question_.survives == LostUnit::kNothing ? "" : std::string(" without a ") + name_of(question_.survives)));
  }

  void make_plans(const Kept& kept) {
    std::vector<Ranked> all = all_ranked(kept, true, answer_.pruned);
    if (all.empty()) refuse_demand();
    const std::size_t shown = std::min(all.size(), static_cast<std::size_t>(question_.top));
    answer_.pruned.add("less than the plans shown, once allocated", static_cast<std::int64_t>(all.size() - shown));
    all.resize(shown);
    for (Ranked& plan : all) refine(plan);
    sort(all);
    const auto nothing = [](const Ranked& plan) { return plan.objective <= 0.0; };
    const auto same = [](const Ranked& a, const Ranked& b) { return same_replicas(a.chosen, b.chosen); };
    if (std::erase_if(all, nothing) > 0 && all.empty()) refuse_demand();
    all.erase(std::unique(all.begin(), all.end(), same), all.end());
    for (const Ranked& plan : all) {
      answer_.plans.push_back(plan_of(name_of_parts(plan.chosen), plan.chosen));
      if (question_.objective != ServingObjective::kGoodput) continue;
      const std::vector<Chosen> uncapped = allocated(plan.shapes, false);
      const double free = counted(uncapped, rates_of(uncapped));
      if (free > answer_.plans.back().requests_per_s * (1.0 + kSolverTolerance)) answer_.plans.back().without_site_cap = free;
    }
    report(0.9);
  }

  // ---- baselines ---------------------------------------------------------------------------------------------------

  void make_baselines(const Kept& kept) {
    add_own();
    add_uniform();
    for (const std::size_t p : pools_) {
      if (pools_.size() < 2) continue;
      PricedShape* best = nullptr;
      for (PricedShape& shape : shapes_[p]) {
        const bool simulated = shape.shape.role == Role::kBoth && shape.loads.front();
        if (!simulated || (best != nullptr && shape.rate_per_device() <= best->rate_per_device())) continue;
        best = &shape;
      }
      if (best == nullptr) continue;
      Ranked alone = ranked({best});
      refine(alone);
      if (!alone.chosen.empty())
        answer_.baselines.push_back(plan_of("best on " + scenario_.cluster.pools[p].name + " alone", alone.chosen));
    }
    const auto apart = [](const ServingPart& part) { return part.shape.role != Role::kBoth; };
    const auto& parts = answer_.plans.front().parts;
    if (std::none_of(parts.begin(), parts.end(), apart)) return;
    Pruned left_out_before;
    std::vector<Ranked> together = all_ranked(kept, false, left_out_before);
    if (together.empty()) return;
    refine(together.front());
    if (together.front().chosen.empty()) return;
    answer_.baselines.push_back(plan_of("best with prompts and decodes together", together.front().chosen));
  }

  // Where the site's cap binds, without a planner every device gives way alike: the largest common share of dynamic power
  // that keeps it.
  void add_baseline(const std::string& name, std::vector<Chosen> chosen) {
    const bool capped = scenario_.cluster.power.site_cap.value() > 0.0;
    for (std::size_t step = 0; step < kLimitSteps; ++step) {
      Watts added{0};
      bool serves = true;
      for (Chosen& c : chosen) {
        c.limit_step = step;
        added += added_by(c);
        serves = serves && c.shape->rate(step) > 0.0;
      }
      if (!serves) break;
      if (capped && added > added_budget(scenario_)) continue;
      verify_chosen(chosen);
      answer_.baselines.push_back(plan_of(name, chosen));
      return;
    }
    answer_.pruned.add("a baseline that cannot keep promises and site power at any common share of dynamic power", 1, name);
  }

  // As the scenario states it, with its routing weights.
  void add_own() {
    std::vector<Chosen> chosen;
    for (const GroupPlan& group : scenario_.plan.groups) {
      const Pool* pool = find_pool(scenario_.cluster, group.stages.front().ranks.front().pool);
      std::string reason;
      auto priced = std::make_unique<PricedShape>();
      priced->shape = {static_cast<std::size_t>(pool - scenario_.cluster.pools.data()),
                       static_cast<std::int64_t>(group.stages.front().ranks.size()),
                       static_cast<int>(group.stages.size()),
                       group.weight_dtype,
                       group.kv_dtype,
                       group.limits.max_batched_tokens,
                       group.role,
                       group.limits.kv_offload,
                       scenario_.model.is_moe() &&
                           group.stages.front().ranks.front().share.experts.size() < scenario_.model.moe.experts};
      priced->group = make_group(scenario_, group, profiles_, reason);
      if (!priced->group) {
        answer_.pruned.add("the scenario's own plan does not fit", 1, reason);
        return;
      }
      priced->limits = limits_of(scenario_, *pool, group);
      sim::screen(*priced, by_);
      priced->given = true;
      if (priced->screened.front() <= 0.0) {
        answer_.pruned.add("the scenario's own plan does not keep the promises", 1, "group " + group.name);
        return;
      }
      chosen.push_back({priced.get(), 0, group.replicas, group.routing_weight});
      own_.push_back(std::move(priced));
    }
    verify_chosen(chosen);
    add_baseline(scenario_.plan_given ? "the scenario's plan" : "the default plan", std::move(chosen));
  }

  // One configuration for all pools, requests in turn: every replica gets the same load whatever it can bear.
  void add_uniform() {
    if (pools_.size() < 2) return;
    std::vector<Chosen> best;
    double best_rate = 0.0;
    for (PricedShape& first : shapes_[pools_.front()]) {
      if (first.shape.role != Role::kBoth) continue;
      std::vector<Chosen> chosen;
      double replicas = 0.0;
      double slowest = 0.0;
      for (const std::size_t p : pools_) {
        ServingShape there = first.shape;
        there.pool = p;
        const auto found = std::find_if(shapes_[p].begin(), shapes_[p].end(), [&](const PricedShape& s) {
          there.kv = s.shape.kv;
          there.kv_offload = s.shape.kv_offload;
          return s.shape == there;
        });
        if (found == shapes_[p].end()) break;
        const std::int64_t own = devices_for_plans(scenario_.cluster.pools[p]) / there.devices();
        chosen.push_back({&*found, 0, own, 1.0});
        replicas += static_cast<double>(own);
        slowest = slowest == 0.0 ? found->screened.front() : std::min(slowest, found->screened.front());
      }
      if (chosen.size() != pools_.size() || slowest * replicas <= best_rate) continue;
      best_rate = slowest * replicas;
      best = chosen;
    }
    if (best.empty()) return;
    verify_chosen(best);
    add_baseline("best uniform plan, round robin", std::move(best));
  }

  // ---- throughput against pace -------------------------------------------------------------------------------------

  // At one pace for a user.
  struct Paced {
    PricedShape* shape = nullptr;
    double rate = 0.0;
  };

  void make_pareto() {
    std::vector<std::pair<PricedShape*, ServingPrices>> prices;
    for (auto& shapes : shapes_) {
      for (PricedShape& shape : shapes) prices.emplace_back(&shape, ServingPrices(*shape.group, by_.workload));
    }
    AllocationLimits limits;
    double devices = 0.0;
    for (std::size_t p = 0; p < scenario_.cluster.pools.size(); ++p) {
      const bool used = std::find(pools_.begin(), pools_.end(), p) != pools_.end();
      limits.devices.push_back(used ? scenario_.cluster.pools[p].devices() : 0);
      devices += static_cast<double>(limits.devices.back());
    }
    for (const double speed : kUserSpeeds) {
      stop_if_cancelled();
      Slo promise = scenario_.slo;
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
      add_pareto_point(speed, best, limits, devices);
    }
    // What keeps a quicker pace keeps a slower one as well.
    for (std::size_t i = answer_.pareto.size(); i-- > 1;) {
      ParetoPoint& slower = answer_.pareto[i - 1];
      if (slower.tokens_per_s_device >= answer_.pareto[i].tokens_per_s_device) continue;
      const double speed = slower.tokens_per_s_user;
      slower = answer_.pareto[i];
      slower.tokens_per_s_user = speed;
    }
  }

  void add_pareto_point(double speed, const std::map<std::tuple<std::size_t, Role, Dtype>, Paced>& best,
                        const AllocationLimits& limits, double devices) {
    std::vector<ReplicaKind> kinds;
    std::vector<Chosen> chosen;
    for (const auto& [part, paced] : best) {
      if (paced.shape == nullptr || !hands_over_alike(*paced.shape)) continue;
      const ServingShape& shape = paced.shape->shape;
      chosen.push_back({paced.shape, 0, 1, paced.rate});
      kinds.push_back({shape.pool, shape.devices(), paced.rate, added_by(chosen.back()), 0.0, shape.role});
    }
    const auto replicas = allocate(kinds, limits);
    if (!replicas) return;
    ParetoPoint point;
    point.tokens_per_s_user = speed;
    const std::vector<Chosen> used = by_load(chosen, *replicas);
    std::vector<double> rates;
    Watts added{0};
    for (const Chosen& c : used) {
      rates.push_back(best.at({c.shape->shape.pool, c.role(), c.shape->shape.kv}).rate);
      added += added_by(c);
      point.shapes += (point.shapes.empty() ? "" : "; ") + pool_of(c).name + " " + short_text_of(c.shape->shape);
    }
    const double tokens = served(used, rates) * mean_tokens(by_.workload).output;
    if (tokens <= 0.0) return;
    const Watts power = metered(scenario_, added);
    point.tokens_per_s_device = tokens / devices;
    point.tokens_per_s_megawatt = tokens / (power.value() / 1e6);
    point.dollars_per_million = dollars_per_million_tokens(cost_of(used, power), tokens);
    answer_.pareto.push_back(point);
  }

  // Prompts that are computed apart reach only those that decode the same format; one format of the fleet's does it here.
  [[nodiscard]] bool hands_over_alike(const PricedShape& shape) const {
    return shape.shape.role == Role::kBoth || shape.shape.kv == scenario_.plan.groups.front().kv_dtype;
  }

  const Scenario& scenario_;
  const Profiles& profiles_;
  const ServingQuestion& question_;
  const Judged by_;
  std::vector<std::size_t> pools_;
  std::vector<std::vector<PricedShape>> shapes_;    // [pool of the cluster]
  std::vector<std::unique_ptr<PricedShape>> own_;   // of the scenario's plan
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

ServingAnswer plan_serving(const Scenario& scenario, const Profiles& profiles, const ServingQuestion& question) {
  if (scenario.workload.kind != WorkloadKind::kServing)
    throw Error(ErrorKind::kInput, scenario.name, "the workload is training, not serving");
  ServingAnswer answer = ServingPlanner(scenario, profiles, question).answer();
  answer.unit = unit_of(question.objective);
  return answer;
}

}  // namespace lindos::sim
