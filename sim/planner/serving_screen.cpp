// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_screen.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/text_layout.h"
#include "scenarios/trace_lengths.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"
#include "sim/workers.h"

namespace lindos::sim {

namespace {

constexpr std::int64_t kWidestTensor = 16;
constexpr int kMostStages = 4;
constexpr std::int64_t kBudgets[] = {256, 512, 1024, 2048, 4096, 8192, 16384};
// Prompts alone gain nothing from small steps: nobody's next token waits for them.
constexpr std::int64_t kPromptBudgets[] = {4096, 8192, 16384};
// Decodes alone need steps no larger than what a preempted request is computed again by.
constexpr std::int64_t kDecodeBudget = 2048;
constexpr double kLeastShare = 0.25;

double share_of(std::size_t step) {
  return 1.0 - (1.0 - kLeastShare) * static_cast<double>(step) / static_cast<double>(kLimitSteps - 1);
}

Dtype kv_dtype(const Scenario& scenario, const std::string& pool, Dtype weights) {
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.weight_dtype == weights && group.stages.front().ranks.front().pool == pool) return group.kv_dtype;
  }
  return bytes_of(weights) < bytes_of(Dtype::kBf16) ? Dtype::kBf16 : weights;
}

class Screening {
 public:
  Screening(const Scenario& scenario, const Judged& by, const std::map<std::string, Profile>& profiles,
            const ScreenQuestion& question)
      : scenario_(scenario), by_(by), profiles_(profiles), question_(question) {}

  ServingScreen result() {
    const auto begin = std::chrono::steady_clock::now();
    screen_.shapes.resize(scenario_.cluster.pools.size());
    for (const std::size_t p : question_.pools) list(p);
    std::vector<Priced> priced(shapes_.size());
    run_workers(
        workers_for(shapes_.size()), shapes_.size(),
        [&](std::size_t, std::size_t i) {
          if (question_.cancelled && question_.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
          price(shapes_[i], priced[i]);
        },
        question_.progress);
    for (std::size_t i = 0; i < shapes_.size(); ++i) take(shapes_[i], priced[i]);
    screen_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return std::move(screen_);
  }

 private:
  struct Priced {
    PricedShape shape;
    std::string reason;   // why it does not fit
    std::optional<ServingPoint> alone;  // where not even a lone request keeps the promises
    bool sends = true;    // its KV has a way out and in
    std::int64_t points = 0;
  };

  [[nodiscard]] const Pool& pool_of(const ServingShape& shape) const { return scenario_.cluster.pools[shape.pool]; }

  void list(std::size_t p) {
    const Pool& pool = scenario_.cluster.pools[p];
    const Device& device = scenario_.devices.at(pool.node.device);
    const std::int64_t domain = std::max(1, device.scale_up_domain);
    const std::int64_t widest = std::min({domain, scenario_.model.q_heads, kWidestTensor, pool.devices()});
    for (std::int64_t tensor = 1; tensor <= widest; tensor *= 2) {
      for (int stages = 1; stages <= kMostStages; stages *= 2) {
        for (const Dtype dtype : question_.dtypes) {
          ServingShape shape{p, tensor, stages, dtype, kv_dtype(scenario_, pool.name, dtype)};
          list_roles(shape);
          if (!scenario_.model.is_moe() || tensor == 1 || tensor > scenario_.model.moe.experts) continue;
          shape.dealt = true;
          list_roles(shape);
        }
      }
    }
  }

  void list_roles(ServingShape shape) {
    const GroupPlan* pattern = pattern_of(scenario_, pool_of(shape).name);
    const Bytes offload = pattern == nullptr ? Bytes{0} : pattern->limits.kv_offload;
    for (const std::int64_t budget : kBudgets) {
      shape.budget = budget;
      shape.kv_offload = offload;
      add(shape);
    }
    if (!question_.apart) return;
    shape.kv_offload = Bytes{0};
    shape.role = Role::kPrefill;
    for (const std::int64_t budget : kPromptBudgets) {
      shape.budget = budget;
      add(shape);
    }
    shape.role = Role::kDecode;
    shape.budget = kDecodeBudget;
    add(shape);
  }

  void add(const ServingShape& shape) {
    ++screen_.tried;
    if (shape.devices() > pool_of(shape).devices()) {
      screen_.pruned.add("more devices than the pool has", 1, text_of(shape) + " on " + pool_of(shape).name);
    } else if (shape.stages > scenario_.model.layers) {
      screen_.pruned.add("more stages than layers", 1, text_of(shape));
    } else {
      shapes_.push_back(shape);
    }
  }

  void price(const ServingShape& shape, Priced& out) const {
    out.shape.shape = shape;
    out.shape.group = make_group(scenario_, group_of(scenario_, shape, 1), profiles_, out.reason);
    if (!out.shape.group) return;
    out.shape.limits = limits_of(scenario_, pool_of(shape), out.shape.group->plan);
    out.points = screen(out.shape, by_);
    if (out.shape.screened.front() > 0.0) return;
    const ServingPrices prices(*out.shape.group, by_.workload);
    out.sends = prices.fits();
    out.alone = prices.at(shape.role == Role::kPrefill ? 0.0 : 1.0, by_.strictest);
  }

  void take(const ServingShape& shape, Priced& priced) {
    screen_.points += priced.points;
    if (!priced.shape.group) {
      screen_.pruned.add("memory", 1, priced.reason);
    } else if (!priced.sends) {
      screen_.pruned.add("nothing carries KV from replica to replica", 1, text_of(shape) + " on " + pool_of(shape).name);
    } else if (priced.alone) {
      note_nearest(shape, *priced.alone);
      screen_.pruned.add("the promises cannot be kept even by a lone request", 1,
                         text_of(shape) + " on " + pool_of(shape).name + ": TTFT " +
                             number_text(priced.alone->ttft.count() * 1e3, 3) + " ms, TPOT " +
                             number_text(priced.alone->tpot.count() * 1e3, 3) + " ms");
    } else {
      screen_.shapes[shape.pool].push_back(std::move(priced.shape));
    }
  }

  // What does a part of the work alone comes no nearer to all of it.
  void note_nearest(const ServingShape& shape, const ServingPoint& alone) {
    if (shape.role != Role::kBoth) return;
    const auto over = [](Seconds value, Seconds promise) {
      return promise.count() > 0.0 ? value / promise : 0.0;
    };
    const double miss = std::max(over(alone.ttft, by_.strictest.ttft), over(alone.tpot, by_.strictest.tpot));
    if (nearest_miss_ > 0.0 && miss >= nearest_miss_) return;
    nearest_miss_ = miss;
    screen_.nearest = text_of(shape) + " on pool \"" + pool_of(shape).name + "\" gives a lone request TTFT " +
                      number_text(alone.ttft.count() * 1e3, 3) + " ms and TPOT " +
                      number_text(alone.tpot.count() * 1e3, 3) + " ms";
  }

  const Scenario& scenario_;
  const Judged& by_;
  const std::map<std::string, Profile>& profiles_;
  const ScreenQuestion& question_;
  std::vector<ServingShape> shapes_;
  double nearest_miss_ = 0.0;
  ServingScreen screen_;
};

}  // namespace

double PricedShape::rate(std::size_t step) const {
  if (loads[step]) return loads[step]->rate;
  if (!loads.front() || screened.front() <= 0.0) return screened[step];
  return loads.front()->rate * (screened[step] / screened.front());
}

std::unique_ptr<ServingGroup> make_group(const Scenario& scenario, const GroupPlan& group,
                                         const std::map<std::string, Profile>& profiles, std::string& reason) {
  Scenario alone = scenario;
  alone.plan.groups = {group};
  // One part of a fleet whose prompts are computed apart is priced without the other.
  alone.plan.groups.front().role = Role::kBoth;
  alone.cluster.power.site_cap = Watts{0};  // shared out by limits
  try {
    validate_plan(alone.plan, alone.model, "plan");
    Fleet fleet = make_fleet(alone, profiles, "");
    auto out = std::make_unique<ServingGroup>(std::move(fleet.groups.front()));
    out->plan.role = group.role;
    return out;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::kInfeasible && e.kind() != ErrorKind::kInput) throw;
    reason = e.what();
    return nullptr;
  }
}

Judged judged(const Scenario& scenario) {
  Judged out{scenario.workload.serving, scenario.slo, scenario.slo};
  if (out.workload.arrival == Arrival::kRecorded && out.workload.trace.format != TraceFormat::kServegen) {
    TraceLengths lengths = fit_lengths(out.workload.trace.path, out.workload.trace.format);
    out.workload.prompt = std::move(lengths.prompt);
    out.workload.output = std::move(lengths.output);
  }
  if (!recorded_names(out.workload.tenants).empty()) out.workload.tenants.clear();
  const auto tighten = [](Seconds& own, Seconds other) {
    if (other.count() > 0.0 && (own.count() <= 0.0 || other < own)) own = other;
  };
  for (const Slo& tenant : promises_of(out.workload, out.slo).tenants) {
    tighten(out.strictest.ttft, tenant.ttft);
    tighten(out.strictest.tpot, tenant.tpot);
  }
  return out;
}

std::int64_t screen(PricedShape& shape, const Judged& by) {
  const ServingPrices prices(*shape.group, by.workload, Draw{}, shape.limits);
  shape.point = prices.most(by.strictest);
  shape.screened.front() = shape.point.rate;
  // A lower limit bears no more, whatever the search for the load is off by.
  for (std::size_t step = 1; shape.point.rate > 0.0 && step < kLimitSteps; ++step)
    shape.screened[step] = std::min(shape.screened[step - 1], prices.most(by.strictest, step).rate);
  return prices.points();
}

std::vector<Watts> limits_of(const Scenario& scenario, const Pool& pool, const GroupPlan& group) {
  std::vector<Watts> out;
  for (std::size_t step = 0; step < kLimitSteps; ++step)
    out.push_back(limit_at_share(scenario, pool, own_limit(scenario, pool, group), share_of(step)));
  return out;
}

ServingScreen screen_shapes(const Scenario& scenario, const Judged& by, const std::map<std::string, Profile>& profiles,
                            const ScreenQuestion& question) {
  return Screening(scenario, by, profiles, question).result();
}

}  // namespace lindos::sim
