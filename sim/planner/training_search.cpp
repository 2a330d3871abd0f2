// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/training_search.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "scenarios/error.h"
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

double peak_of(const Scenario& scenario, const TrainingShape& shape) {
  const GroupPlan group = group_of(scenario, {shape.pool}, {scenario.model.layers}, 1, 1);
  const std::map<Dtype, FlopPerSecond>& peaks = device_of(scenario, shape.pool).peak;
  const auto found = peaks.find(group.weight_dtype);
  return (found == peaks.end() ? peaks.begin()->second : found->second).value() * static_cast<double>(shape.devices());
}

double watts_of(const Scenario& scenario, const TrainingShape& shape) {
  const Pool& pool = scenario.cluster.pools[shape.pool];
  return node_demand(scenario, pool).value() * scenario.cluster.power.pue / pool.node.devices *
         static_cast<double>(shape.devices());
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
        most_(space.most_batch / way.micro_batch) {}

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
      const double pace = best_pace(pools);
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
    choice.score = score_of(chosen, choice);
    out.push_back(std::move(choice));
  }

  // The devices that deal_batch will take, as a real number of replicas.
  [[nodiscard]] double score_of(const std::vector<const ScreenedShape*>& chosen, const TrainingChoice& choice) const {
    const double rate = static_cast<double>(choice.sequences) / choice.step_s;
    if (objective_ == TrainingObjective::kRun || objective_ == TrainingObjective::kStep) return rate;
    const auto cost = [&](const TrainingShape& shape) {
      return objective_ == TrainingObjective::kPower ? watts_of(scenario_, shape) : peak_of(scenario_, shape);
    };
    std::vector<std::pair<double, double>> sets;  // cost per micro-batch, micro-batches
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const auto m = static_cast<double>(choice.micro_batches[i]);
      sets.emplace_back(cost(choice.shapes[i]) / m, m * static_cast<double>(chosen[i]->replicas));
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
};

auto key_of(const TrainingChoice& c) { return std::tuple(c.way, c.shapes, c.micro_batches, c.sequences); }

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
    Choices found = WaySearch(computed, space, way, objective, screen, slowest).choices();
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
    sets.push_back({most_replicas(scenario, shape), choice.micro_batches[i], shape.granule(),
                    peak_of(scenario, shape)});
  }
  const auto dealt = deal_batch(sets, choice.sequences / choice.way.micro_batch);
  if (!dealt) return std::nullopt;
  out.workload.training.global_batch = choice.sequences;
  out.plan.groups.clear();
  for (const DealtSet& set : *dealt) {
    GroupPlan group = group_of(scenario, choice.shapes[set.set], set.replicas, set.micro_batches);
    if (!out.plan.groups.empty() && out.plan.groups.back().name == group.name) group.name += "-rest";
    out.plan.groups.push_back(std::move(group));
  }
  out.plan_given = true;
  return out;
}

}  // namespace lindos::sim
