// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_serving.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/text_layout.h"
#include "scenarios/timeline.h"
#include "sim/planner/allocate.h"
#include "sim/planner/serving_load.h"
#include "sim/planner/training_space.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"
#include "sim/uncertainty.h"

namespace lindos::sim {

namespace {

using Profiles = std::map<std::string, Profile>;

constexpr std::int64_t kWidestTensor = 16;
constexpr int kMostStages = 4;
constexpr std::int64_t kBudgets[] = {1024, 2048, 4096, 8192, 16384};
// What a power limit may leave of a device's dynamic power, in steps of 7.5 %.
constexpr double kLeastShare = 0.25;
constexpr std::size_t kLimitSteps = 11;
// Shapes of a pool that stay in the running once all are screened.
constexpr std::size_t kKeptShapes = 3;
constexpr double kUserSpeeds[] = {10.0, 20.0, 30.0, 40.0, 50.0, 75.0, 100.0, 150.0, 200.0};

double share_of(std::size_t step) {
  return 1.0 - (1.0 - kLeastShare) * static_cast<double>(step) / static_cast<double>(kLimitSteps - 1);
}

const Device& device_of(const Scenario& scenario, const Pool& pool) { return scenario.devices.at(pool.node.device); }

// A shape with everything that prices it.
struct PricedShape {
  ServingShape shape;
  std::unique_ptr<ServingGroup> group;
  std::vector<Watts> limits;                 // of a device, by step; the first is what the plan and the caps of devices and
                                             // racks leave it
  double rates[kLimitSteps] = {};            // screened, by limit
  ServingPoint point;                        // under the loosest limit
  double correction = 1.0;                   // simulated / screened
  std::optional<BorneLoad> load;
  std::vector<Factors> sigmas;               // of the draws
  [[nodiscard]] double rate() const { return rates[0] * correction; }
};

// The plan's group alone, made ready to simulate; the reason when it does not fit.
std::unique_ptr<ServingGroup> make_group(const Scenario& scenario, const GroupPlan& group, const Profiles& profiles,
                                         std::string& reason) {
  Scenario alone = scenario;
  alone.plan.groups = {group};
  alone.cluster.power.site_cap = Watts{0};  // shared out by limits
  try {
    validate_plan(alone.plan, alone.model, "plan");
    Fleet fleet = make_fleet(alone, profiles, "");
    return std::make_unique<ServingGroup>(std::move(fleet.groups.front()));
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInfeasible && e.kind() != ErrorKind::kInput) throw;
    reason = e.what();
    return nullptr;
  }
}

// REQUIRES: a group of one pool.
std::vector<Watts> limits_of(const Scenario& scenario, const Pool& pool, const GroupPlan& group) {
  std::vector<Watts> out;
  for (std::size_t step = 0; step < kLimitSteps; ++step)
    out.push_back(limit_at_share(scenario, pool, own_limit(scenario, pool, group), share_of(step)));
  return out;
}

class ServingPlanner {
 public:
  ServingPlanner(const Scenario& scenario, const Profiles& profiles, const ServingQuestion& question)
      : scenario_(scenario), profiles_(profiles), question_(question) {
    pools_ = training_space(scenario, question.pools, false, 0).pools;
    dtypes_ = question.dtypes;
    if (dtypes_.empty()) dtypes_ = {scenario.plan.groups.front().weight_dtype};
  }

  ServingAnswer answer() {
    check_promises();
    screen();
    const std::vector<std::vector<PricedShape*>> kept = best_shapes();
    verify(kept);
    make_baselines();
    make_plans(kept);
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
  void report(double done) const {
    if (question_.predict.progress) question_.predict.progress(done);
  }
  void stop_if_cancelled() const {
    if (question_.predict.cancelled && question_.predict.cancelled())
      throw Error(ErrorKind::kCancelled, "", "cancelled");
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
    const auto begin = std::chrono::steady_clock::now();
    shapes_.resize(scenario_.cluster.pools.size());
    double done = 0.0;
    for (const std::size_t p : pools_) {
      const Pool& pool = scenario_.cluster.pools[p];
      const Device& device = device_of(scenario_, pool);
      const std::int64_t domain = std::max(1, device.scale_up_domain);
      const std::int64_t widest = std::min({domain, scenario_.model.q_heads, kWidestTensor, pool.devices()});
      for (std::int64_t tensor = 1; tensor <= widest; tensor *= 2) {
        for (int stages = 1; stages <= kMostStages; stages *= 2) {
          for (const Dtype dtype : dtypes_) {
            for (const std::int64_t budget : kBudgets) {
              stop_if_cancelled();
              screen_shape({p, tensor, stages, dtype, kv_dtype(p, dtype), budget});
            }
          }
        }
      }
      report(0.3 * ++done / static_cast<double>(pools_.size()));
    }
    answer_.screening_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    bool any = false;
    for (const auto& shapes : shapes_) any = any || !shapes.empty();
    if (!any) refuse();
  }

  [[nodiscard]] Dtype kv_dtype(std::size_t pool, Dtype weights) const {
    const std::string& name = scenario_.cluster.pools[pool].name;
    for (const GroupPlan& group : scenario_.plan.groups) {
      if (group.weight_dtype == weights && group.stages.front().ranks.front().pool == name) return group.kv_dtype;
    }
    return bytes_of(weights) < bytes_of(Dtype::kBf16) ? Dtype::kBf16 : weights;
  }

  void screen_shape(const ServingShape& shape) {
    ++answer_.shapes;
    const Pool& pool = scenario_.cluster.pools[shape.pool];
    if (shape.devices() > pool.devices()) {
      answer_.pruned.add("more devices than the pool has", 1, text_of(shape) + " on " + pool.name);
      return;
    }
    if (shape.stages > scenario_.model.layers) {
      answer_.pruned.add("more stages than layers", 1, text_of(shape));
      return;
    }
    std::string reason;
    PricedShape priced;
    priced.shape = shape;
    priced.group = make_group(scenario_, group_of(scenario_, shape, 1), profiles_, reason);
    if (!priced.group) {
      answer_.pruned.add("memory", 1, reason);
      return;
    }
    priced.limits = limits_of(scenario_, pool, priced.group->plan);
    const ServingPrices prices(*priced.group, scenario_.workload.serving, Draw{}, priced.limits);
    priced.point = prices.most(scenario_.slo);
    if (priced.point.rate <= 0.0) {
      const ServingPoint alone = prices.at(1.0, scenario_.slo);
      note_nearest(shape, alone);
      answer_.pruned.add("the promises cannot be kept even by a lone request", 1,
                         text_of(shape) + " on " + pool.name + ": TTFT " + number_text(alone.ttft.count() * 1e3, 3) +
                             " ms, TPOT " + number_text(alone.tpot.count() * 1e3, 3) + " ms");
      answer_.points += prices.points();
      return;
    }
    for (std::size_t step = 0; step < kLimitSteps; ++step) priced.rates[step] = prices.most(scenario_.slo, step).rate;
    answer_.points += prices.points();
    shapes_[shape.pool].push_back(std::move(priced));
  }

  void note_nearest(const ServingShape& shape, const ServingPoint& alone) {
    const auto over = [](Seconds value, Seconds promise) {
      return promise.count() > 0.0 ? value / promise : 0.0;
    };
    const double miss = std::max(over(alone.ttft, scenario_.slo.ttft), over(alone.tpot, scenario_.slo.tpot));
    if (nearest_miss_ > 0.0 && miss >= nearest_miss_) return;
    nearest_miss_ = miss;
    nearest_ = text_of(shape) + " on pool \"" + scenario_.cluster.pools[shape.pool].name +
               "\" gives a lone request TTFT " + number_text(alone.ttft.count() * 1e3, 3) + " ms and TPOT " +
               number_text(alone.tpot.count() * 1e3, 3) + " ms";
  }

  [[noreturn]] void refuse() const {
    std::string why = "no shape serves " + scenario_.model.name + " under the promises";
    for (const auto& [reason, entry] : answer_.pruned.reasons()) {
      why += "; " + with_thousands(entry.count) + ": " + reason;
      if (reason == "memory") why += " (" + entry.example + ")";
    }
    if (!nearest_.empty()) why += ". Nearest: " + nearest_;
    throw Error(ErrorKind::kInfeasible, scenario_.name, why);
  }

  // To `out` the first `count` of those that differ from it and each other in more than the tokens of a step.
  static void add_different(std::vector<PricedShape*>& out, const std::vector<PricedShape*>& ranked, std::size_t count) {
    const std::size_t most = out.size() + count;
    for (PricedShape* shape : ranked) {
      if (out.size() == most) break;
      const bool known = std::any_of(out.begin(), out.end(), [&](const PricedShape* kept) {
        ServingShape alike = shape->shape;
        alike.budget = kept->shape.budget;
        return alike == kept->shape;
      });
      if (!known) out.push_back(shape);
    }
  }

  // The most load that a shape bears per watt that it adds, over all limits.
  [[nodiscard]] double rate_per_watt(const PricedShape& shape) const {
    const Pool& pool = scenario_.cluster.pools[shape.shape.pool];
    double most = 0.0;
    for (std::size_t step = 0; step < kLimitSteps; ++step) {
      const Watts added = added_per_device(scenario_, pool, shape.limits[step]) * static_cast<double>(shape.shape.devices());
      most = std::max(most, shape.rates[step] / added.value());
    }
    return most;
  }

  // Per pool, by load per device; where power counts, also by load per watt.
  [[nodiscard]] std::vector<std::vector<PricedShape*>> best_shapes() {
    const bool power = scenario_.cluster.power.site_cap.value() > 0.0 || question_.objective != ServingObjective::kGoodput;
    std::vector<std::vector<PricedShape*>> kept(shapes_.size());
    for (std::size_t p = 0; p < shapes_.size(); ++p) {
      std::vector<PricedShape*> all;
      for (PricedShape& shape : shapes_[p]) all.push_back(&shape);
      const auto by = [&](const auto& value) {
        std::sort(all.begin(), all.end(), [&](const PricedShape* a, const PricedShape* b) {
          const double x = value(*a);
          const double y = value(*b);
          return x != y ? x > y : a->shape < b->shape;
        });
      };
      by([](const PricedShape& shape) { return shape.rates[0] / static_cast<double>(shape.shape.devices()); });
      add_different(kept[p], all, kKeptShapes);
      if (power) {
        by([&](const PricedShape& shape) { return rate_per_watt(shape); });
        if (!all.empty() && std::find(kept[p].begin(), kept[p].end(), all.front()) == kept[p].end())
          kept[p].push_back(all.front());
      }
      answer_.pruned.add(power ? "bears less load per device and per watt than the best of its pool"
                               : "bears less load per device than the best of its pool",
                         static_cast<std::int64_t>(all.size() - kept[p].size()));
    }
    return kept;
  }

  // ---- verification ------------------------------------------------------------------------------------------------

  void verify_shape(PricedShape& shape) {
    if (shape.load) return;
    stop_if_cancelled();
    if (question_.predict.fidelity == Fidelity::kClosed) {
      shape.load = BorneLoad{shape.rates[0], 1.0, shape.point.ttft, shape.point.tpot, {}};
    } else {
      shape.load = borne_load(*shape.group, scenario_.workload.serving, scenario_.slo, shape.rates[0],
                              question_.predict.seed, question_.predict.cancelled);
      ++answer_.verified;
    }
    shape.correction = shape.rates[0] > 0.0 ? shape.load->rate / shape.rates[0] : 0.0;
    shape.sigmas = systematic_sigmas(shape.group->replica, totals_of(shape));
  }

  // A step of decodes and one of prompts: where the prices of a shape come from.
  [[nodiscard]] WorkTotals totals_of(PricedShape& shape) const {
    if (question_.predict.fidelity != Fidelity::kClosed) return shape.load->totals;
    WorkTotals totals;
    Ledger ledger;
    const Batch batch(static_cast<std::size_t>(std::max(1.0, shape.point.batch)), Slice{1024, 1, true});
    for (std::size_t s = 0; s < shape.group->replica.stages(); ++s)
      book(shape.group->replica.work(batch, s, 1), shape.group->replica.ranks(s), Draw{}, ledger, totals);
    return totals;
  }

  void verify(const std::vector<std::vector<PricedShape*>>& kept) {
    double done = 0.0;
    for (const auto& shapes : kept) {
      for (PricedShape* shape : shapes) verify_shape(*shape);
      report(0.3 + 0.5 * ++done / static_cast<double>(kept.size()));
    }
  }

  // Load of a shape in one draw, as screened, relative to its centre: what one kernel price off by a factor does.
  [[nodiscard]] double drawn_ratio(PricedShape& shape, std::uint32_t index, Watts limit) const {
    const Draw draw = draw_factors(shape.sigmas, question_.predict.seed, index);
    const auto most = [&](const Draw& with) {
      return ServingPrices(*shape.group, scenario_.workload.serving, with, {limit}).most(scenario_.slo).rate;
    };
    const double drawn = most(draw);
    const double centre = most(Draw{});
    return centre > 0.0 ? drawn / centre : 0.0;
  }

  // ---- plans -------------------------------------------------------------------------------------------------------

  struct Chosen {
    PricedShape* shape;
    std::size_t limit_step;
    std::int64_t replicas;
    double weight;   // of routing, per replica
    [[nodiscard]] Watts limit() const { return shape->limits[limit_step]; }
  };

  [[nodiscard]] const Pool& pool_of(const Chosen& chosen) const {
    return scenario_.cluster.pools[chosen.shape->shape.pool];
  }

  // What the parts serve together: requests go out by weight, so that the first part to reach its limit ends it.
  PlannedServing plan_of(const std::string& name, const std::vector<Chosen>& chosen) {
    PlannedServing plan;
    plan.name = name;
    plan.scenario = scenario_;
    plan.scenario.plan.name = name;
    plan.scenario.plan_given = true;
    plan.scenario.plan.groups.clear();
    double weights = 0.0;
    for (const Chosen& c : chosen) weights += c.weight * static_cast<double>(c.replicas);
    const auto served = [&](const std::vector<double>& rates) {
      double most = 0.0;
      bool first = true;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        const double total = rates[i] * weights / chosen[i].weight;
        if (first || total < most) most = total;
        first = false;
      }
      return most;
    };
    std::vector<double> rates;
    Watts added{0};
    std::map<std::string, int> names;
    for (const Chosen& c : chosen) {
      const Pool& pool = pool_of(c);
      const Watts limit = c.limit();
      rates.push_back(c.shape->rates[c.limit_step] * c.shape->correction);
      added += added_per_device(scenario_, pool, limit) * static_cast<double>(c.shape->shape.devices() * c.replicas);
      GroupPlan group = c.shape->group->plan;
      group.replicas = c.replicas;
      group.routing_weight = c.weight;
      if (c.limit_step > 0) group.power_limit = limit;
      group.name = pool.name;
      if (const int again = names[pool.name]++; again > 0) group.name += "-" + std::to_string(again + 1);
      plan.parts.push_back({c.shape->shape, group.name, text_of(c.shape->shape), c.replicas, limit,
                            limit < device_of(scenario_, pool).power_max, c.shape->rates[c.limit_step],
                            rates.back(), c.shape->load->ttft, c.shape->load->tpot});
      plan.scenario.plan.groups.push_back(std::move(group));
    }
    plan.requests_per_s = served(rates);
    for (int d = 0; d < std::max(1, question_.predict.draws); ++d) {
      stop_if_cancelled();
      std::vector<double> drawn;
      for (std::size_t i = 0; i < chosen.size(); ++i) {
        drawn.push_back(rates[i] *
                        drawn_ratio(*chosen[i].shape, static_cast<std::uint32_t>(d), chosen[i].limit()));
      }
      plan.drawn.push_back(served(drawn));
    }
    plan.p10 = quantile(plan.drawn, 0.1);
    plan.p90 = quantile(plan.drawn, 0.9);
    plan.tokens_per_s = plan.requests_per_s * middle_tokens(scenario_.workload.serving).output;
    plan.power = metered(scenario_, added);
    plan.cost = cost_of(chosen, plan.power);
    plan.objective = plan.requests_per_s * per_request(plan.power, plan.cost);
    return plan;
  }

  // What a request per second counts in the objective of a plan that draws and costs so much; 0: that is not known.
  [[nodiscard]] double per_request(Watts power, DollarsPerSecond cost) const {
    const double tokens = middle_tokens(scenario_.workload.serving).output;
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
      sum += price * static_cast<double>(c.shape->shape.devices() * c.replicas);
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

  // The best replicas of these shapes, one per pool, under the power and the devices; requests by load.
  [[nodiscard]] std::vector<Chosen> allocated(const std::vector<PricedShape*>& shapes, bool site_cap = true) const {
    std::vector<ReplicaKind> kinds;
    std::vector<Chosen> chosen;
    AllocationLimits limits;
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const Pool& pool = scenario_.cluster.pools[shapes[i]->shape.pool];
      limits.devices.push_back((pool.nodes - pool.spares.value_or(0)) * pool.node.devices);
      for (std::size_t step = 0; step < kLimitSteps; ++step) {
        const double rate = shapes[i]->rates[step] * shapes[i]->correction;
        if (rate <= 0.0) continue;
        const std::int64_t devices = shapes[i]->shape.devices();
        kinds.push_back({i, devices, rate,
                         added_per_device(scenario_, pool, shapes[i]->limits[step]) * static_cast<double>(devices),
                         cost_of(*shapes[i], step)});
        chosen.push_back({shapes[i], step, 0, rate});
      }
    }
    if (site_cap && scenario_.cluster.power.site_cap.value() > 0.0) limits.added = added_budget(scenario_);
    if (question_.objective != ServingObjective::kGoodput) limits.demand = scenario_.workload.serving.rate.value();
    const auto replicas = allocate(kinds, limits);
    if (!replicas) return {};
    std::vector<Chosen> used;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      if ((*replicas)[i] == 0) continue;
      chosen[i].replicas = (*replicas)[i];
      used.push_back(chosen[i]);
    }
    return used;
  }

  static std::string name_of_parts(const Scenario& scenario, const std::vector<PricedShape*>& shapes) {
    std::string out;
    for (const PricedShape* shape : shapes) {
      out += (out.empty() ? "" : "; ") + text_of(shape->shape) + " on " +
             scenario.cluster.pools[shape->shape.pool].name;
    }
    return out;
  }

  void make_plans(const std::vector<std::vector<PricedShape*>>& kept) {
    std::vector<std::vector<PricedShape*>> pools;
    for (const auto& shapes : kept) {
      if (!shapes.empty()) pools.push_back(shapes);
    }
    struct Ranked {
      double objective;
      std::vector<PricedShape*> shapes;
      std::vector<Chosen> chosen;
    };
    std::vector<Ranked> ranked;
    std::vector<std::size_t> at(pools.size(), 0);
    while (true) {
      std::vector<PricedShape*> shapes;
      for (std::size_t p = 0; p < pools.size(); ++p) shapes.push_back(pools[p][at[p]]);
      std::vector<Chosen> chosen = allocated(shapes);
      double rate = 0.0;
      Watts added{0};
      for (const Chosen& c : chosen) {
        const Pool& pool = pool_of(c);
        rate += c.weight * static_cast<double>(c.replicas);
        const auto devices = static_cast<double>(c.shape->shape.devices() * c.replicas);
        added += added_per_device(scenario_, pool, c.limit()) * devices;
      }
      if (rate > 0.0) {
        const Watts power = metered(scenario_, added);
        ranked.push_back({rate * per_request(power, cost_of(chosen, power)), std::move(shapes), std::move(chosen)});
      } else {
        answer_.pruned.add("cannot serve the scenario's rate under the site's power", 1);
      }
      std::size_t p = 0;
      while (p < at.size() && ++at[p] == pools[p].size()) at[p++] = 0;
      if (p == at.size()) break;
    }
    if (ranked.empty()) {
      throw Error(ErrorKind::kInfeasible, scenario_.name,
                  "the fleet cannot serve " + number_text(scenario_.workload.serving.rate.value(), 6) +
                      " requests/s under the promises and the site's power");
    }
    std::stable_sort(ranked.begin(), ranked.end(),
                     [](const Ranked& a, const Ranked& b) { return a.objective > b.objective; });
    const std::size_t shown = std::min(ranked.size(), static_cast<std::size_t>(question_.top));
    answer_.pruned.add("less than the plans shown, once allocated", static_cast<std::int64_t>(ranked.size() - shown));
    for (std::size_t i = 0; i < shown; ++i) {
      answer_.plans.push_back(plan_of(name_of_parts(scenario_, ranked[i].shapes), ranked[i].chosen));
      if (question_.objective != ServingObjective::kGoodput) continue;
      double free = 0.0;
      for (const Chosen& c : allocated(ranked[i].shapes, false)) free += c.weight * static_cast<double>(c.replicas);
      // CBC's answers are exact to its tolerance.
      if (free > answer_.plans.back().requests_per_s * (1.0 + 1e-4)) answer_.plans.back().without_site_cap = free;
    }
    report(0.95);
  }

  // ---- baselines ---------------------------------------------------------------------------------------------------

  void make_baselines() {
    add_own();
    add_uniform();
    for (const std::size_t p : pools_) {
      if (pools_.size() < 2 || shapes_[p].empty()) continue;
      const auto best = std::max_element(shapes_[p].begin(), shapes_[p].end(),
                                         [](const PricedShape& a, const PricedShape& b) {
                                           return a.rate() / static_cast<double>(a.shape.devices()) <
                                                  b.rate() / static_cast<double>(b.shape.devices());
                                         });
      verify_shape(*best);
      const std::vector<Chosen> chosen = allocated({&*best});
      if (!chosen.empty())
        answer_.baselines.push_back(plan_of("best on " + scenario_.cluster.pools[p].name + " alone", chosen));
    }
    report(0.9);
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
        const Pool& pool = pool_of(c);
        added += added_per_device(scenario_, pool, c.limit()) *
                 static_cast<double>(c.shape->shape.devices() * c.replicas);
        serves = serves && c.shape->rates[step] > 0.0;
      }
      if (!serves) break;
      if (capped && added > added_budget(scenario_)) continue;
      answer_.baselines.push_back(plan_of(name, chosen));
      return;
    }
    answer_.pruned.add("a baseline that cannot keep promises and site power at any common share of dynamic power", 1, name);
  }

  // As the scenario states it, with its routing weights.
  void add_own() {
    std::vector<Chosen> chosen;
    for (const GroupPlan& group : scenario_.plan.groups) {
      if (group.role == Role::kBoth) continue;
      answer_.pruned.add("the scenario's own plan has prefill and decode apart, which is not searched: predict prices it",
                         1, "group " + group.name);
      return;
    }
    for (const GroupPlan& group : scenario_.plan.groups) {
      const std::string& pool = group.stages.front().ranks.front().pool;
      const auto found = std::find_if(scenario_.cluster.pools.begin(), scenario_.cluster.pools.end(),
                                      [&](const Pool& p) { return p.name == pool; });
      std::string reason;
      auto priced = std::make_unique<PricedShape>();
      priced->shape = {static_cast<std::size_t>(found - scenario_.cluster.pools.begin()),
                       static_cast<std::int64_t>(group.stages.front().ranks.size()),
                       static_cast<int>(group.stages.size()),
                       group.weight_dtype,
                       group.kv_dtype,
                       group.limits.max_batched_tokens};
      priced->group = make_group(scenario_, group, profiles_, reason);
      if (!priced->group) {
        answer_.pruned.add("the scenario's own plan does not fit", 1, reason);
        return;
      }
      priced->limits = limits_of(scenario_, *found, group);
      const ServingPrices prices(*priced->group, scenario_.workload.serving, Draw{}, priced->limits);
      priced->point = prices.most(scenario_.slo);
      for (std::size_t step = 0; step < kLimitSteps; ++step)
        priced->rates[step] = prices.most(scenario_.slo, step).rate;
      if (priced->rates[0] <= 0.0) {
        answer_.pruned.add("the scenario's own plan does not keep the promises", 1, "group " + group.name);
        return;
      }
      verify_shape(*priced);
      chosen.push_back({priced.get(), 0, group.replicas, group.routing_weight});
      own_.push_back(std::move(priced));
    }
    add_baseline(scenario_.plan_given ? "the scenario's plan" : "the default plan", std::move(chosen));
  }

  // One configuration for all pools, requests in turn: every replica gets the same load whatever it can bear.
  void add_uniform() {
    if (pools_.size() < 2) return;
    std::vector<Chosen> best;
    double best_rate = 0.0;
    for (PricedShape& first : shapes_[pools_.front()]) {
      std::vector<Chosen> chosen;
      double replicas = 0.0;
      double slowest = 0.0;
      for (const std::size_t p : pools_) {
        ServingShape there = first.shape;
        there.pool = p;
        const auto found = std::find_if(shapes_[p].begin(), shapes_[p].end(), [&](const PricedShape& s) {
          there.kv = s.shape.kv;
          return s.shape == there;
        });
        if (found == shapes_[p].end()) break;
        const Pool& pool = scenario_.cluster.pools[p];
        const std::int64_t own = (pool.nodes - pool.spares.value_or(0)) * pool.node.devices / there.devices();
        chosen.push_back({&*found, 0, own, 1.0});
        replicas += static_cast<double>(own);
        slowest = slowest == 0.0 ? found->rates[0] : std::min(slowest, found->rates[0]);
      }
      if (chosen.size() != pools_.size() || slowest * replicas <= best_rate) continue;
      best_rate = slowest * replicas;
      best = chosen;
    }
    if (best.empty()) return;
    for (const Chosen& c : best) verify_shape(*c.shape);
    add_baseline("best uniform plan, round robin", std::move(best));
  }

  // ---- throughput against pace -------------------------------------------------------------------------------------

  void make_pareto() {
    for (const double speed : kUserSpeeds) {
      Slo promise = scenario_.slo;
      promise.tpot = Seconds(1.0 / speed);
      ParetoPoint point;
      point.tokens_per_s_user = speed;
      double devices = 0.0;
      double tokens = 0.0;
      std::vector<Chosen> chosen;
      Watts added{0};
      for (const std::size_t p : pools_) {
        const double own = static_cast<double>(scenario_.cluster.pools[p].devices());
        devices += own;
        PricedShape* best = nullptr;
        double most = 0.0;
        for (PricedShape& shape : shapes_[p]) {
          const double rate = ServingPrices(*shape.group, scenario_.workload.serving).most(promise).rate /
                              static_cast<double>(shape.shape.devices());
          if (rate <= most) continue;
          most = rate;
          best = &shape;
        }
        if (best == nullptr) continue;
        // Whole replicas; what is left of the pool does nothing.
        const std::int64_t replicas = static_cast<std::int64_t>(own) / best->shape.devices();
        const auto used = static_cast<double>(replicas * best->shape.devices());
        tokens += used * most * middle_tokens(scenario_.workload.serving).output;
        added += added_per_device(scenario_, scenario_.cluster.pools[p], best->limits.front()) * used;
        chosen.push_back({best, 0, replicas, 1.0});
        point.shapes += (point.shapes.empty() ? "" : "; ") + scenario_.cluster.pools[p].name + " ";
        point.shapes += text_of(best->shape);
      }
      if (tokens <= 0.0) continue;
      const Watts power = metered(scenario_, added);
      point.tokens_per_s_device = tokens / devices;
      point.tokens_per_s_megawatt = tokens / (power.value() / 1e6);
      point.dollars_per_million = dollars_per_million_tokens(cost_of(chosen, power), tokens);
      answer_.pareto.push_back(point);
    }
  }

  const Scenario& scenario_;
  const Profiles& profiles_;
  const ServingQuestion& question_;
  std::vector<std::size_t> pools_;
  std::vector<Dtype> dtypes_;
  std::vector<std::vector<PricedShape>> shapes_;    // [pool of the cluster]
  std::vector<std::unique_ptr<PricedShape>> own_;   // of the scenario's plan
  double nearest_miss_ = 0.0;
  std::string nearest_;
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

ServingAnswer plan_serving(const Scenario& scenario, const Profiles& profiles, const ServingQuestion& question) {
  if (scenario.workload.kind != WorkloadKind::kServing)
    throw Error(ErrorKind::kInput, scenario.name, "the workload is training, not serving");
  ServingAnswer answer = ServingPlanner(scenario, profiles, question).answer();
  answer.unit = unit_of(question.objective);
  return answer;
}

}  // namespace lindos::sim
