// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_screen.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_pools.h"
#include "scenarios/text_layout.h"
#include "scenarios/trace_lengths.h"
#include "sim/planner/serving_space.h"
#include "sim/power_limit.h"
#include "sim/serving_power.h"
#include "sim/workers.h"

namespace lindos::sim {

namespace {

constexpr double kLeastShare = 0.25;
// Loads that differ by less are equal to what the search for them is off by.
constexpr double kSameLoad = 1e-3;
// What is gained at least by replicas over two pools, which fail with nodes of either and are harder to run.
constexpr double kWorthTwoPools = 0.05;

double share_of(std::size_t step) {
  return 1.0 - (1.0 - kLeastShare) * static_cast<double>(step) / static_cast<double>(kLimitSteps - 1);
}

// As own_limit and shares of its dynamic power; of several pools one limit that every device there can be held to, or 0.
std::vector<Watts> limits_of(const Scenario& scenario, const GroupPlan& group) {
  std::vector<Watts> out(kLimitSteps, Watts{0});
  std::vector<const Pool*> pools;
  for (const auto& [name, devices] : devices_per_replica(group)) pools.push_back(find_pool(scenario.cluster, name));
  for (const Pool* pool : pools) out.front() = std::max(out.front(), own_limit(scenario, *pool, group));
  for (std::size_t step = 1; step < kLimitSteps; ++step) {
    Watts least = out.front();
    for (const Pool* pool : pools)
      least = std::min(least, limit_at_share(scenario, *pool, own_limit(scenario, *pool, group), share_of(step)));
    const bool held = pools.size() == 1 || std::all_of(pools.begin(), pools.end(), [&](const Pool* pool) {
      return why_no_limit(scenario.devices.at(pool->node.device), least).empty();
    });
    if (held) out[step] = least;
  }
  return out;
}

// The most that so many devices of a pool bear in replicas of it alone.
class MostByDevices {
 public:
  explicit MostByDevices(const std::vector<const PricedShape*>& shapes) : shapes_(shapes) {}
  [[nodiscard]] double of(std::int64_t devices) {
    while (std::ssize(most_) <= devices) {
      double most = most_.empty() ? 0.0 : most_.back();
      for (const PricedShape* shape : shapes_) {
        const std::int64_t left = std::ssize(most_) - shape->all_devices();
        if (left >= 0) most = std::max(most, most_[static_cast<std::size_t>(left)] + shape->screened.front());
      }
      most_.push_back(most);
    }
    return most_[static_cast<std::size_t>(devices)];
  }

 private:
  std::vector<const PricedShape*> shapes_;
  std::vector<double> most_;
};

class Screening {
 public:
  Screening(const Scenario& scenario, const Judged& by, const std::map<std::string, Profile>& profiles,
            const ScreenQuestion& question)
      : scenario_(scenario), by_(by), profiles_(profiles), question_(question) {}

  ServingScreen result() {
    const auto begin = std::chrono::steady_clock::now();
    screen_.shapes.resize(scenario_.cluster.pools.size());
    ServingSpace space;
    for (const std::size_t p : question_.pools) {
      add_shapes_on(space, scenario_, p, question_.dtypes, question_.apart);
      for (const std::size_t last : question_.pools)
        if (last != p) add_shapes_over(space, scenario_, profiles_, p, last, question_.dtypes, question_.apart);
    }
    screen_.tried = space.tried;
    screen_.pruned = space.pruned;
    const std::vector<ServingShape>& shapes = space.shapes;
    std::vector<Priced> priced(shapes.size());
    run(shapes.size(), [&](std::size_t i) { price(shapes[i], priced[i]); }, question_.progress);
    for (std::size_t i = 0; i < shapes.size(); ++i) take(shapes[i], priced[i]);
    leave_out_what_one_pool_bears();
    std::vector<std::int64_t> points(screen_.over.size(), 0);
    run(points.size(), [&](std::size_t i) { points[i] = screen(screen_.over[i], by_); }, {});
    for (const std::int64_t more : points) screen_.points += more;
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

  void run(std::size_t count, const std::function<void(std::size_t)>& job, const std::function<void(double)>& progress) const {
    run_workers(
        workers_for(count), count,
        [&](std::size_t, std::size_t i) {
          if (question_.cancelled && question_.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
          job(i);
        },
        progress);
  }

  void price(const ServingShape& shape, Priced& out) const {
    auto group = make_group(scenario_, group_of(scenario_, shape, 1), profiles_, out.reason);
    if (!group) return;
    out.shape = priced_shape(scenario_, shape, std::move(group));
    // Over two pools only those that are left are priced under every limit.
    out.points = screen(out.shape, by_, shape.other ? ScreenedLimits::kLoosest : ScreenedLimits::kAll);
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
      screen_.pruned.add("nothing carries KV from replica to replica", 1, text_of(shape) + " on " + pools_text(scenario_, shape));
    } else if (priced.alone) {
      note_nearest(shape, *priced.alone);
      screen_.pruned.add("the promises cannot be kept even by a lone request", 1,
                         text_of(shape) + " on " + pools_text(scenario_, shape) + ": TTFT " +
                             number_text(priced.alone->ttft.count() * 1e3, 3) + " ms, TPOT " +
                             number_text(priced.alone->tpot.count() * 1e3, 3) + " ms");
    } else {
      (shape.other ? screen_.over : screen_.shapes[shape.pool]).push_back(std::move(priced.shape));
    }
  }

  // Replicas of one pool that serve as much on the same devices take the place of one over two, in whole numbers.
  void leave_out_what_one_pool_bears() {
    std::map<std::tuple<std::size_t, Role, Dtype>, std::vector<const PricedShape*>> alike;
    const auto part_of = [](std::size_t pool, const ServingShape& shape) {
      return std::tuple(pool, shape.role, shape.role == Role::kBoth ? Dtype::kBf16 : shape.kv);
    };
    for (const std::vector<PricedShape>& shapes : screen_.shapes) {
      for (const PricedShape& shape : shapes) alike[part_of(shape.shape.pool, shape.shape)].push_back(&shape);
    }
    std::map<std::tuple<std::size_t, Role, Dtype>, MostByDevices> most;
    struct Gain {
      double over = 0.0;    // one pool each
      double each = 0.0;    // load per device
      std::size_t shape = 0;
    };
    constexpr std::size_t kAnyPool = std::numeric_limits<std::size_t>::max();
    std::map<std::tuple<std::size_t, std::size_t, Role, Dtype>, Gain> best;
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < screen_.over.size(); ++i) {
      const PricedShape& shape = screen_.over[i];
      const double rate = shape.screened.front();
      double instead = 0.0;
      for (const std::size_t pool : {shape.shape.pool, shape.shape.other->pool}) {
        const auto part = part_of(pool, shape.shape);
        instead += most.try_emplace(part, alike[part]).first->second.of(shape.devices[pool]);
      }
      if (rate <= instead * (1.0 + (question_.few_over ? kWorthTwoPools : kSameLoad))) {
        screen_.pruned.add("over two pools: gains too little over the same devices in replicas of one pool each", 1,
                           text_of(shape.shape) + " on " + pools_text(scenario_, shape.shape) + ": " + number_text(rate, 3) +
                               " instead of " + number_text(instead, 3) + " requests/s");
        continue;
      }
      kept.push_back(i);
      const auto pools = instead > 0.0 ? std::pair(kAnyPool, kAnyPool)
                                       : std::pair(std::min(shape.shape.pool, shape.shape.other->pool),
                                                   std::max(shape.shape.pool, shape.shape.other->pool));
      const bool both = shape.shape.role == Role::kBoth;
      Gain& known = best[{pools.first, pools.second, shape.shape.role, both ? Dtype::kBf16 : shape.shape.kv}];
      const Gain own{instead > 0.0 ? rate / instead : std::numeric_limits<double>::infinity(),
                     rate / static_cast<double>(shape.all_devices()), i};
      if (own.over > known.over || (own.over == known.over && own.each > known.each)) known = own;
    }
    if (question_.few_over) {
      screen_.pruned.add("over two pools: gains less over replicas of one pool than the best",
                         std::ssize(kept) - std::ssize(best));
      kept.clear();
      for (const auto& [pools, gain] : best) kept.push_back(gain.shape);
      std::sort(kept.begin(), kept.end());
    }
    std::vector<PricedShape> over;
    for (const std::size_t i : kept) over.push_back(std::move(screen_.over[i]));
    screen_.over = std::move(over);
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
    screen_.nearest = text_of(shape) + " on pool \"" + pools_text(scenario_, shape) + "\" gives a lone request TTFT " +
                      number_text(alone.ttft.count() * 1e3, 3) + " ms and TPOT " +
                      number_text(alone.tpot.count() * 1e3, 3) + " ms";
  }

  const Scenario& scenario_;
  const Judged& by_;
  const std::map<std::string, Profile>& profiles_;
  const ScreenQuestion& question_;
  double nearest_miss_ = 0.0;
  ServingScreen screen_;
};

}  // namespace

std::int64_t PricedShape::all_devices() const { return std::accumulate(devices.begin(), devices.end(), std::int64_t{0}); }

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

std::int64_t screen(PricedShape& shape, const Judged& by, ScreenedLimits limits) {
  std::vector<Watts> priced = shape.limits;
  if (limits == ScreenedLimits::kLoosest) priced.resize(1);
  for (Watts& limit : priced) {
    if (limit.value() <= 0.0) limit = priced.front();  // that no device is held to: priced for nothing
  }
  const ServingPrices prices(*shape.group, by.workload, Draw{}, priced);
  shape.point = prices.most(by.strictest);
  shape.screened.front() = shape.point.rate;
  // A lower limit bears no more, whatever the search for the load is off by.
  for (std::size_t step = 1; shape.point.rate > 0.0 && step < priced.size(); ++step) {
    const bool held = shape.limits[step].value() > 0.0;
    shape.screened[step] = held ? std::min(shape.screened[step - 1], prices.most(by.strictest, step).rate) : 0.0;
  }
  return prices.points();
}

PricedShape priced_shape(const Scenario& scenario, const ServingShape& shape, std::unique_ptr<ServingGroup> group) {
  PricedShape out;
  out.shape = shape;
  const auto devices = devices_per_replica(group->plan);
  for (const Pool& pool : scenario.cluster.pools) {
    const auto own = devices.find(pool.name);
    out.devices.push_back(own == devices.end() ? 0 : own->second);
  }
  out.limits = limits_of(scenario, group->plan);
  out.group = std::move(group);
  return out;
}

ServingScreen screen_shapes(const Scenario& scenario, const Judged& by, const std::map<std::string, Profile>& profiles,
                            const ScreenQuestion& question) {
  return Screening(scenario, by, profiles, question).result();
}

}  // namespace lindos::sim
