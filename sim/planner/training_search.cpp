// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/training_search.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "scenarios/error.h"
#include "sim/planner/allocate.h"
#include "sim/planner/deal_batch.h"
#include "sim/planner/shape_screen.h"
#include "sim/power_limit.h"

namespace lindos::sim {

namespace {

// Around the best step: shapes that take most micro-batches until then are combined over the pools.
constexpr double kAround = 1.05;
// Combinations of shapes over all pools that are priced per way and set of pools.
constexpr double kCombinations = 2000.0;
// Steps between the fastest and the slowest allowed at which efficient plans are looked for.
constexpr int kPaces = 12;
// Plans of one kind that are priced as whole plans.
constexpr int kPerKind = 3;
// Of each baseline: the fastest as screened, of these so many of a kind, and in all.
constexpr std::size_t kUniformPlans = 60;
constexpr int kBaselinePerKind = 2;
constexpr std::size_t kBaselineChoices = 16;
// Around the shortest packed step, since what comes after the pipelines is screened roughly.
constexpr double kPackedPaces[] = {1.0, 1.005, 1.01, 1.02, 1.05};
// Columns of a packing that are all kept, and of more per pool or pair of pools.
constexpr std::size_t kFewColumns = 96;
constexpr std::size_t kPackedPerPools = 12;
// On so many devices a step that is shorter by less than this is not worth replicas of another kind.
constexpr std::int64_t kFleetDevices = 1000;
constexpr double kSimplerBy = 0.005;

using Choices = std::vector<TrainingChoice>;

Scenario with_way(const Scenario& scenario, const TrainingWay& way) {
  Scenario out = scenario;
  out.workload.training.recompute = way.recompute;
  out.workload.training.micro_batch = way.micro_batch;
  return out;
}

const Device& device_of(const Scenario& scenario, std::size_t pool) {
  return scenario.devices.at(scenario.cluster.pools[pool].node.device);
}

// Of a device of the pool, in the format of its weights.
double peak_of(const Scenario& scenario, std::size_t pool) {
  const GroupPlan group = group_of(scenario, {pool}, {scenario.model.layers}, 1, 1);
  const std::map<Dtype, FlopPerSecond>& peaks = device_of(scenario, pool).peak;
  const auto found = peaks.find(group.weight_dtype);
  return (found == peaks.end() ? peaks.begin()->second : found->second).value();
}

double peak_of(const Scenario& scenario, const TrainingShape& shape) {
  double sum = peak_of(scenario, shape.pool) * static_cast<double>(shape.devices_in(shape.pool));
  if (shape.last) sum += peak_of(scenario, shape.last->pool) * static_cast<double>(shape.devices_in(shape.last->pool));
  return sum;
}

// Per device of each pool of the cluster, at the meter, whatever plan it works for.
std::vector<double> watts_by_pool(const Scenario& scenario) {
  Scenario no_plan = scenario;
  no_plan.plan.groups.clear();
  const DeviceLimits limits = device_limits(no_plan, OtherDevices::kWork);
  std::vector<double> out;
  for (const Pool& pool : scenario.cluster.pools) {
    const Watts each = limits.others.at(pool.name) + host_power(scenario, pool) / static_cast<double>(pool.node.devices);
    out.push_back((each * scenario.cluster.power.pue).value());
  }
  return out;
}

std::int64_t replicas_of(const Scenario& scenario, const TrainingChoice& choice, std::size_t shape) {
  return choice.packed.empty() ? most_replicas(scenario, choice.shapes[shape]) : choice.packed[shape];
}

// One way of computing a step and what its pools can do.
class WaySearch {
 public:
  WaySearch(const Scenario& scenario, const TrainingSpace& space, const TrainingWay& way,
            TrainingObjective objective, const ShapeScreen& screen, double slowest)
      : scenario_(scenario),
        space_(space),
        way_(way),
        objective_(objective),
        screen_(screen),
        slowest_(slowest),
        least_(space.least_batch / way.micro_batch),
        most_(space.most_batch / way.micro_batch),
        watts_(objective == TrainingObjective::kPower ? watts_by_pool(scenario) : std::vector<double>()),
        pace_(best_pace(space.pools)) {}

  // The best step of all pools with replicas of one pool each; 0: they cannot take the batch.
  [[nodiscard]] double pace() const { return pace_; }

  // Plans with replicas over two pools among others, where these shorten the step. Returns whether they do.
  bool pack(Choices& out) const {
    const std::size_t before = out.size();
    std::vector<double> ends;
    const auto add_ends = [&](const ScreenedShape& s) {
      for (const double end : s.ends) {
        if (pace_ <= 0.0 || end < pace_) ends.push_back(end);
      }
    };
    for (const ScreenedShape& s : screen_.over()) add_ends(s);
    if (ends.empty()) return false;
    for (const std::size_t pool : space_.pools) {
      for (const ScreenedShape& s : screen_.shapes()[pool]) add_ends(s);
    }
    std::sort(ends.begin(), ends.end());
    ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
    const auto takes = [&](double end) { return Packing(*this, end).takes() >= least_; };
    // One pack before the others: mostly the longest of these steps is too short as well.
    if (!takes(ends.back())) return false;
    const auto shortest = std::partition_point(ends.begin(), ends.end(), [&](double end) { return !takes(end); });
    if (pace_ > 0.0 && is_fleet() && *shortest > pace_ * (1.0 - kSimplerBy)) return false;
    for (const double slower : kPackedPaces) {
      const Packing packing(*this, *shortest * slower);
      if (packing.takes() >= least_) packing.add_to(out);
    }
    return out.size() > before;
  }

  [[nodiscard]] Choices choices() const {
    Choices out;
    double fastest = 0.0;
    // Larger sets of pools first: their pace says which smaller ones are worth a look.
    const std::size_t sets = std::size_t{1} << space_.pools.size();
    std::vector<std::size_t> order;
    for (std::size_t set = 1; set < sets; ++set) order.push_back(set);
    std::stable_sort(order.begin(), order.end(), [](std::size_t a, std::size_t b) {
      return __builtin_popcountll(a) > __builtin_popcountll(b);
    });
    for (const std::size_t set : order) {
      std::vector<std::size_t> pools;
      for (std::size_t i = 0; i < space_.pools.size(); ++i) {
        if ((set >> i & 1U) != 0) pools.push_back(space_.pools[i]);
      }
      const double pace = pools == space_.pools ? pace_ : best_pace(pools);
      if (pace == 0.0) continue;
      const bool efficient = objective_ == TrainingObjective::kMfu || objective_ == TrainingObjective::kPower;
      if (fastest == 0.0) fastest = pace;
      if (efficient) {
        const double slowest = std::max(pace, slowest_ > 0.0 ? slowest_ : 4.0 * fastest);
        for (int i = 0; i < kPaces; ++i) {
          const double seconds = pace * std::pow(slowest / pace, static_cast<double>(i) / (kPaces - 1));
          combine(pools, seconds, true, out);
        }
      } else if (pace <= fastest * kAround * kAround) {
        combine(pools, pace * kAround, false, out);
      }
    }
    return out;
  }

 private:
  // The most micro-batches that replicas of any shapes take by a step's end on the devices that there are.
  class Packing {
    // As many replicas of a shape as come together.
    struct Column {
      const ScreenedShape* shape = nullptr;
      std::int64_t takes = 0;   // micro-batches
    };
    using Columns = std::map<std::vector<std::int64_t>, Column>;  // by devices of each pool

    // All of few; of many those that take most per device, of each pool and each pair of pools.
    static Columns worth_packing(Columns all) {
      if (all.size() <= kFewColumns) return all;
      std::map<std::vector<bool>, std::vector<std::pair<double, std::vector<std::int64_t>>>> ranked;  // by pools in use
      for (const auto& [devices, column] : all) {
        std::vector<bool> used;
        for (const std::int64_t n : devices) used.push_back(n > 0);
        const auto sum = static_cast<double>(std::accumulate(devices.begin(), devices.end(), std::int64_t{0}));
        ranked[used].emplace_back(-static_cast<double>(column.takes) / sum, devices);
      }
      Columns kept;
      for (auto& [used, own] : ranked) {
        std::sort(own.begin(), own.end());
        if (own.size() > kPackedPerPools) own.resize(kPackedPerPools);
        for (const auto& [per_device, devices] : own) kept.emplace(devices, all.at(devices));
      }
      return kept;
    }

   public:
    Packing(const WaySearch& search, double end) : search_(search), end_(end) {
      Columns best;
      const auto offer = [&](const ScreenedShape& s) {
        const Column own{&s, s.most_by(end) * s.shape.granule()};
        if (own.takes < 1) return;
        std::vector<std::int64_t> devices;
        for (std::size_t p = 0; p < search.scenario_.cluster.pools.size(); ++p)
          devices.push_back(s.shape.devices_in(p) * s.shape.granule());
        const auto [known, fresh] = best.try_emplace(std::move(devices), own);
        if (fresh) return;
        const Column& other = known->second;
        if (own.takes > other.takes || (own.takes == other.takes && s.shape < other.shape->shape)) known->second = own;
      };
      for (const std::size_t pool : search.space_.pools) {
        for (const ScreenedShape& s : search.screen_.shapes()[pool]) offer(s);
      }
      for (const ScreenedShape& s : search.screen_.over()) offer(s);
      std::vector<ReplicaKind> kinds;
      for (const auto& [devices, column] : worth_packing(best)) {
        std::vector<PoolUse> uses;
        for (std::size_t p = 0; p < devices.size(); ++p) {
          if (devices[p] > 0) uses.push_back({p, devices[p]});
        }
        ReplicaKind& kind = kinds.emplace_back();
        kind.pool = uses.front().pool;
        kind.devices = uses.front().devices;
        if (uses.size() > 1) kind.other = uses.back();
        kind.rate = static_cast<double>(column.takes);
        columns_.push_back(column);
      }
      AllocationLimits limits;
      limits.devices = search.devices();
      const auto replicas = allocate(kinds, limits);
      if (!replicas) return;
      replicas_ = *replicas;
      for (std::size_t k = 0; k < kinds.size(); ++k) takes_ += replicas_[k] * columns_[k].takes;
    }

    [[nodiscard]] std::int64_t takes() const { return takes_; }

    // If it has any replicas over two pools.
    void add_to(Choices& out) const {
      TrainingChoice choice;
      choice.way = search_.way_;
      bool over = false;
      for (std::size_t k = 0; k < replicas_.size(); ++k) {
        if (replicas_[k] == 0) continue;
        const TrainingShape& shape = columns_[k].shape->shape;
        over = over || shape.last.has_value();
        choice.shapes.push_back(shape);
        choice.micro_batches.push_back(columns_[k].takes / shape.granule());
        choice.step_s = std::max(choice.step_s, columns_[k].shape->end(choice.micro_batches.back()));
        choice.packed.push_back(replicas_[k] * shape.granule());
      }
      if (!over) return;
      choice.sequences = std::min(takes_, search_.most_) * search_.way_.micro_batch;
      choice.score = search_.score_of(choice);
      out.push_back(std::move(choice));
    }

   private:
    const WaySearch& search_;
    double end_;
    std::vector<Column> columns_;
    std::vector<std::int64_t> replicas_;   // of each column
    std::int64_t takes_ = 0;
  };

  // That may be used, by pool of the cluster.
  [[nodiscard]] std::vector<std::int64_t> devices() const {
    std::vector<std::int64_t> out(scenario_.cluster.pools.size(), 0);
    for (const std::size_t p : space_.pools) {
      const Pool& pool = scenario_.cluster.pools[p];
      out[p] = std::max<std::int64_t>(0, pool.nodes - pool.spares.value_or(0)) * pool.node.devices;
    }
    return out;
  }

  [[nodiscard]] bool is_fleet() const {
    const std::vector<std::int64_t> all = devices();
    return std::accumulate(all.begin(), all.end(), std::int64_t{0}) > kFleetDevices;
  }

  // The step at which the pools, each with its best shape, train most tokens per second: every pool's shapes are
  // independent of the others' but for the batch. 0 when they cannot take the batch.
  [[nodiscard]] double best_pace(const std::vector<std::size_t>& pools) const {
    struct Point {
      double end;
      std::size_t pool;             // position in `pools`
      std::int64_t micro_batches;   // that the pool takes by then
    };
    std::vector<Point> points;
    for (std::size_t p = 0; p < pools.size(); ++p) {
      for (const ScreenedShape& s : screen_.shapes()[pools[p]]) {
        for (std::int64_t m = 1; m <= static_cast<std::int64_t>(s.ends.size()); ++m) {
          if (s.most_by(s.end(m)) < m) continue;
          points.push_back({s.end(m), p, s.replicas * m});
        }
      }
    }
    std::sort(points.begin(), points.end(), [](const Point& a, const Point& b) {
      return std::tuple(a.end, a.pool, a.micro_batches) < std::tuple(b.end, b.pool, b.micro_batches);
    });
    std::vector<std::int64_t> taken(pools.size(), 0);
    std::int64_t sum = 0;
    double best = 0.0;
    double best_rate = 0.0;
    for (const Point& point : points) {
      if (point.micro_batches <= taken[point.pool]) continue;
      sum += point.micro_batches - taken[point.pool];
      taken[point.pool] = point.micro_batches;
      if (sum < least_) continue;
      const double rate = static_cast<double>(std::min(sum, most_)) / point.end;
      if (rate <= best_rate) continue;
      best_rate = rate;
      best = point.end;
    }
    return best;
  }

  // The pool's shapes that take most by then: of all its devices, or per device.
  [[nodiscard]] std::vector<const ScreenedShape*> beam(std::size_t pool, double seconds, bool per_device,
                                                       std::size_t width) const {
    struct Ranked {
      double value;
      double end;
      const ScreenedShape* shape;
    };
    std::vector<Ranked> ranked;
    for (const ScreenedShape& s : screen_.shapes()[pool]) {
      const std::int64_t m = s.most_by(seconds);
      if (m < 1) continue;
      const double each = static_cast<double>(m);
      ranked.push_back({per_device ? each / static_cast<double>(s.shape.devices())
                                   : each * static_cast<double>(s.replicas),
                        s.end(m), &s});
    }
    std::sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
      if (a.value != b.value) return a.value > b.value;
      if (a.end != b.end) return a.end < b.end;
      return a.shape->shape < b.shape->shape;
    });
    std::vector<const ScreenedShape*> out;
    for (std::size_t i = 0; i < std::min(width, ranked.size()); ++i) out.push_back(ranked[i].shape);
    return out;
  }

  void combine(const std::vector<std::size_t>& pools, double seconds, bool at_this_pace, Choices& out) const {
    const auto width = static_cast<std::size_t>(
        std::max(2.0, std::floor(std::pow(kCombinations, 1.0 / static_cast<double>(pools.size())))));
    std::vector<std::vector<const ScreenedShape*>> beams;
    for (const std::size_t pool : pools) {
      beams.push_back(beam(pool, seconds, at_this_pace, at_this_pace ? std::min<std::size_t>(width, 4) : width));
      if (beams.back().empty()) return;
    }
    std::vector<std::size_t> at(pools.size(), 0);
    while (true) {
      std::vector<const ScreenedShape*> chosen;
      for (std::size_t p = 0; p < pools.size(); ++p) chosen.push_back(beams[p][at[p]]);
      const double pace = at_this_pace ? seconds : pace_of(chosen);
      if (pace > 0.0) add(chosen, pace, out);
      std::size_t p = 0;
      while (p < at.size() && ++at[p] == beams[p].size()) at[p++] = 0;
      if (p == at.size()) break;
    }
  }

  [[nodiscard]] std::int64_t taken_by(const std::vector<const ScreenedShape*>& chosen, double seconds) const {
    std::int64_t sum = 0;
    for (const ScreenedShape* s : chosen) sum += s->replicas * s->most_by(seconds);
    return sum;
  }

  // best_pace of one shape per pool.
  [[nodiscard]] double pace_of(const std::vector<const ScreenedShape*>& chosen) const {
    std::vector<double> ends;
    for (const ScreenedShape* s : chosen) ends.insert(ends.end(), s->ends.begin(), s->ends.end());
    std::sort(ends.begin(), ends.end());
    const auto enough = std::partition_point(ends.begin(), ends.end(),
                                             [&](double end) { return taken_by(chosen, end) < least_; });
    double best = 0.0;
    double best_rate = 0.0;
    for (auto end = enough; end != ends.end(); ++end) {
      const std::int64_t taken = taken_by(chosen, *end);
      const double rate = static_cast<double>(std::min(taken, most_)) / *end;
      if (rate > best_rate) {
        best_rate = rate;
        best = *end;
      }
      if (taken >= most_) break;
    }
    return best;
  }

  void add(const std::vector<const ScreenedShape*>& chosen, double pace, Choices& out) const {
    TrainingChoice choice;
    choice.way = way_;
    choice.step_s = pace;
    std::int64_t taken = 0;
    for (const ScreenedShape* s : chosen) {
      const std::int64_t m = s->most_by(pace);
      if (m < 1) return;  // this pool is too slow to help: the set without it is looked at as well
      choice.shapes.push_back(s->shape);
      choice.micro_batches.push_back(m);
      taken += s->replicas * m;
    }
    if (taken < least_) return;
    choice.sequences = std::min(taken, most_) * way_.micro_batch;
    choice.score = score_of(choice);
    out.push_back(std::move(choice));
  }

  // The devices that deal_batch will take, as a real number of replicas.
  [[nodiscard]] double score_of(const TrainingChoice& choice) const {
    const double rate = static_cast<double>(choice.sequences) / choice.step_s;
    if (objective_ == TrainingObjective::kRun || objective_ == TrainingObjective::kStep) return rate;
    const auto cost = [&](const TrainingShape& shape) {
      if (objective_ != TrainingObjective::kPower) return peak_of(scenario_, shape);
      double watts = 0.0;
      for (std::size_t p = 0; p < watts_.size(); ++p) watts += watts_[p] * static_cast<double>(shape.devices_in(p));
      return watts;
    };
    std::vector<std::pair<double, double>> sets;  // cost per micro-batch, micro-batches
    for (std::size_t i = 0; i < choice.shapes.size(); ++i) {
      const auto m = static_cast<double>(choice.micro_batches[i]);
      sets.emplace_back(cost(choice.shapes[i]) / m, m * static_cast<double>(replicas_of(scenario_, choice, i)));
    }
    std::sort(sets.begin(), sets.end());
    double left = static_cast<double>(choice.sequences / way_.micro_batch);
    double sum = 0.0;
    for (const auto& [each, most] : sets) {
      sum += each * std::min(left, most);
      left -= std::min(left, most);
    }
    return rate / sum;
  }

  const Scenario& scenario_;
  const TrainingSpace& space_;
  TrainingWay way_;
  TrainingObjective objective_;
  const ShapeScreen& screen_;
  double slowest_;
  std::int64_t least_;
  std::int64_t most_;
  std::vector<double> watts_;   // of a device, by pool
  double pace_;
};

auto key_of(const TrainingChoice& c) { return std::tuple(c.way, c.shapes, c.micro_batches, c.packed, c.sequences); }

// Best first; equal scores by what they are, so that no order of enumeration shows.
bool better(const TrainingChoice& a, const TrainingChoice& b) {
  if (a.score != b.score) return a.score > b.score;
  return key_of(a) < key_of(b);
}

// At most so many of a kind, since many hardly differ.
void keep_best(Choices& choices, std::size_t count, int per_kind) {
  std::sort(choices.begin(), choices.end(), better);
  choices.erase(std::unique(choices.begin(), choices.end(),
                            [](const TrainingChoice& a, const TrainingChoice& b) { return key_of(a) == key_of(b); }),
                choices.end());
  std::map<std::string, int> of_kind;
  Choices kept;
  for (TrainingChoice& choice : choices) {
    if (kept.size() == count) break;
    if (++of_kind[kind_of(choice)] <= per_kind) kept.push_back(std::move(choice));
  }
  choices = std::move(kept);
}

void find_baselines(const Scenario& scenario, const TrainingSpace& space, const TrainingWay& way, ShapeScreen& screen,
                    SearchResult& result) {
  const auto add = [&](const std::string& name, const std::vector<std::size_t>& pools) {
    Choices& known = result.baselines[name];
    for (ShapeScreen::Uniform& uniform : screen.uniform_plans(pools, kUniformPlans)) {
      TrainingChoice choice;
      choice.way = way;
      choice.shapes = std::move(uniform.shapes);
      choice.micro_batches.assign(pools.size(), uniform.micro_batches);
      choice.sequences = space.least_batch;
      choice.step_s = uniform.end;
      choice.score = static_cast<double>(choice.sequences) / choice.step_s;
      known.push_back(std::move(choice));
    }
    keep_best(known, kBaselineChoices, kBaselinePerKind);
  };
  if (space.pools.size() > 1) add("best uniform plan", space.pools);
  for (const std::size_t pool : space.pools)
    add("best on " + scenario.cluster.pools[pool].name + " alone", {pool});
}

}  // namespace

const char* name_of(TrainingObjective objective) {
  switch (objective) {
    case TrainingObjective::kRun:
      return "run";
    case TrainingObjective::kStep:
      return "step";
    case TrainingObjective::kMfu:
      return "mfu";
    case TrainingObjective::kPower:
      return "power";
  }
  return "";
}

std::string kind_of(const TrainingChoice& choice) {
  std::string out = std::string(name_of(choice.way.recompute)) + " " + std::to_string(choice.way.micro_batch);
  for (TrainingShape shape : choice.shapes) {
    shape.chunks = std::min(shape.chunks, 2);
    out += "; " + std::to_string(shape.pool) + " " + text_of(shape);
  }
  return out;
}

SearchResult search_training(const Scenario& scenario, const TrainingSpace& space, TrainingObjective objective,
                             const std::map<std::string, Profile>& profiles, const SearchLimits& limits) {
  SearchResult result;
  Choices same_batch;
  Nearest nearest;
  const double slowest = limits.slowest_step_s * static_cast<double>(space.most_batch) /
                         static_cast<double>(space.least_batch);
  for (std::size_t w = 0; w < space.ways.size(); ++w) {
    const TrainingWay& way = space.ways[w];
    const Scenario computed = with_way(scenario, way);
    ShapeScreen screen(computed, space, profiles, slowest, limits.cancelled);
    const WaySearch search(computed, space, way, objective, screen, slowest);
    Choices found = search.choices();
    if (space.pools.size() > 1) {
      screen.screen_over(search.pace(), limits.cancelled);
      if (!search.pack(found))
        result.pruned.add("over two pools: no packing with such replicas ends the step sooner", std::ssize(screen.over()));
    }
    keep_best(found, limits.choices, kPerKind);
    result.choices.insert(result.choices.end(), found.begin(), found.end());
    if (space.most_batch > space.least_batch) {
      // A larger batch may lose more to slow links than it wins: the scenario's own stays in the running.
      TrainingSpace as_given = space;
      as_given.most_batch = space.least_batch;
      Choices given = WaySearch(computed, as_given, way, objective, screen, slowest).choices();
      keep_best(given, limits.choices / 2, kPerKind);
      same_batch.insert(same_batch.end(), given.begin(), given.end());
    }
    find_baselines(computed, space, way, screen, result);
    result.shapes += screen.looked_at();
    result.plans += screen.priced();
    result.pruned.add(screen.pruned());
    if (screen.nearest().overflow > 0.0 &&
        (nearest.overflow == 0.0 || screen.nearest().overflow < nearest.overflow)) {
      nearest = screen.nearest();
    }
    if (limits.progress) limits.progress(static_cast<double>(w + 1) / static_cast<double>(space.ways.size()));
  }
  keep_best(result.choices, limits.choices, kPerKind);
  keep_best(same_batch, limits.choices / 2, kPerKind);
  result.choices.insert(result.choices.end(), same_batch.begin(), same_batch.end());
  if (result.choices.empty()) result.nearest = nearest.arithmetic;
  return result;
}

std::optional<Scenario> scenario_of(const Scenario& scenario, const TrainingChoice& choice) {
  Scenario out = with_way(scenario, choice.way);
  std::vector<ReplicaSet> sets;
  for (std::size_t i = 0; i < choice.shapes.size(); ++i) {
    const TrainingShape& shape = choice.shapes[i];
    sets.push_back({replicas_of(scenario, choice, i), choice.micro_batches[i], shape.granule(), peak_of(scenario, shape)});
  }
  const auto dealt = deal_batch(sets, choice.sequences / choice.way.micro_batch);
  if (!dealt) return std::nullopt;
  out.workload.training.global_batch = choice.sequences;
  out.plan.groups.clear();
  for (const DealtSet& set : *dealt) {
    GroupPlan group = group_of(scenario, choice.shapes[set.set], set.replicas, set.micro_batches);
    const auto named = [&](const GroupPlan& other) { return other.name == group.name; };
    while (std::any_of(out.plan.groups.begin(), out.plan.groups.end(), named)) group.name += "-rest";
    out.plan.groups.push_back(std::move(group));
  }
  out.plan_given = true;
  return out;
}

}  // namespace lindos::sim
