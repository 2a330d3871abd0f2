// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_space.h"

#include <algorithm>
#include <optional>
#include <variant>

#include "scenarios/balance.h"
#include "scenarios/capacity.h"
#include "scenarios/ops.h"
#include "scenarios/text_layout.h"
#include "sim/planner/device_speeds.h"

namespace lindos::sim {

namespace {

constexpr std::int64_t kWidestTensor = 16;
constexpr int kMostStages = 4;
constexpr std::int64_t kBudgets[] = {256, 512, 1024, 2048, 4096, 8192, 16384};
// Prompts alone gain nothing from small steps: nobody's next token waits for them.
constexpr std::int64_t kPromptBudgets[] = {4096, 8192, 16384};
// Decodes alone need steps no larger than what a preempted request is computed again by.
constexpr std::int64_t kDecodeBudget = 2048;
// Over two pools there are many more ways to cut, and the size of a step decides little between them. A stage of many ranks
// beside one of few would have nearly all layers.
constexpr std::int64_t kBudgetOver = 2048;
constexpr std::int64_t kPromptBudgetOver = 8192;
constexpr std::int64_t kMostRanksOver = 2;

Dtype kv_dtype(const Scenario& scenario, const std::string& pool, Dtype weights) {
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.weight_dtype == weights && group.stages.front().ranks.front().pool == pool) return group.kv_dtype;
  }
  return bytes_of(weights) < bytes_of(Dtype::kBf16) ? Dtype::kBf16 : weights;
}

std::int64_t widest_tensor(const Scenario& scenario, const Pool& pool) {
  const std::int64_t domain = std::max(1, scenario.devices.at(pool.node.device).scale_up_domain);
  return std::min({domain, scenario.model.q_heads, kWidestTensor, pool.devices()});
}

Bytes offload_of(const Scenario& scenario, const Pool& pool) {
  const GroupPlan* pattern = pattern_of(scenario, pool.name);
  return pattern == nullptr ? Bytes{0} : pattern->limits.kv_offload;
}

// Experts in columns, and dealt out whole where that is another cut.
std::vector<bool> expert_cuts(const Model& model, std::int64_t tensor) {
  if (!model.is_moe() || tensor == 1 || tensor > model.moe.experts) return {false};
  return {false, true};
}

// Cuts of one model over two pools.
class TwoPools {
 public:
  TwoPools(ServingSpace& space, const Scenario& scenario, const std::map<std::string, Profile>& profiles, std::size_t first,
           std::size_t last)
      : space_(space), scenario_(scenario), profiles_(profiles), first_(first), last_(last) {}

  void add(Dtype dtype, bool apart) {
    const DeviceSpeeds here = speeds_of(scenario_, pool(first_), profiles_, dtype);
    const DeviceSpeeds there = speeds_of(scenario_, pool(last_), profiles_, dtype);
    reading_ = here.reading > 0.0 ? there.reading / here.reading : 0.0;
    products_ = here.products > 0.0 ? there.products / here.products : 0.0;
    weights_ = Bytes(static_cast<double>(parameter_count(scenario_.model)) * bytes_of(dtype));
    for (std::int64_t tensor = 1; tensor <= widest_tensor(scenario_, pool(first_)); tensor *= 2) {
      for (std::int64_t others = 1; others <= widest_tensor(scenario_, pool(last_)); others *= 2) {
        if (tensor > kMostRanksOver * others || others > kMostRanksOver * tensor) continue;
        if (first_ < last_) {
          ++space_.tried;
          space_.pruned.add("a tensor group over two pools: all-reduces of every layer through the NICs", 1,
                            std::to_string(tensor) + " ranks on " + pool(first_).name + ", " + std::to_string(others) + " on " +
                                pool(last_).name);
        }
        for (const bool dealt : expert_cuts(scenario_.model, std::min(tensor, others))) {
          ServingShape shape{first_, tensor, 1, dtype, kv_dtype(scenario_, pool(first_).name, dtype)};
          shape.dealt = dealt;
          shape.other = OtherStages{last_, others, 1, 0, 0};
          add_roles(shape, apart);
        }
      }
    }
  }

 private:
  [[nodiscard]] const Pool& pool(std::size_t index) const { return scenario_.cluster.pools[index]; }

  void add_roles(ServingShape shape, bool apart) {
    shape.budget = kBudgetOver;
    const std::optional<ServingShape> by_reading = add_cut(shape, reading_, nullptr);
    add_cut(shape, products_, by_reading ? &*by_reading : nullptr);
    if (!apart) return;
    shape.role = Role::kPrefill;
    shape.budget = kPromptBudgetOver;
    add_cut(shape, products_, nullptr);
    shape.role = Role::kDecode;
    shape.budget = kDecodeBudget;
    add_cut(shape, reading_, nullptr);
  }

  // With the fewest stages that have room; where several numbers of stages are as few, all of them. `speed`: of a device of
  // the last stages over one of the first; 0: not known. `known`: the same cut by another speed. Returns the first one added.
  std::optional<ServingShape> add_cut(ServingShape shape, double speed, const ServingShape* known) {
    std::optional<ServingShape> added;
    if (speed <= 0.0) return added;
    for (int total = 2; total <= 2 * kMostStages && !added; ++total) {
      for (int stages = 1; stages <= kMostStages; stages *= 2) {
        const int others = total - stages;
        if (others < 1 || others > kMostStages || (others & (others - 1)) != 0 || total > scenario_.model.layers) continue;
        shape.stages = stages;
        shape.other->stages = others;
        const bool devices = shape.tensor * stages <= pool(first_).devices() && shape.other->tensor * others <= pool(last_).devices();
        const std::optional<ServingShape> cut = devices ? with_layers(shape, speed) : std::nullopt;
        if (!cut) continue;
        if (!added) added = cut;
        if (known != nullptr && *cut == *known) continue;
        ++space_.tried;
        space_.shapes.push_back(*cut);
      }
    }
    if (!added) {
      ++space_.tried;
      shape.stages = shape.other->stages = 1;
      space_.pruned.add("memory", 1,
                        short_text_of(shape) + " on " + pools_text(scenario_, shape) + " have no room for " +
                            number_text(weights_.value() / kGiB, 4) + " GiB of weights in up to " + std::to_string(kMostStages) +
                            " stages each");
    }
    return added;
  }

  // Layers as near to the parts by speed as memory permits; nothing where it permits none.
  [[nodiscard]] std::optional<ServingShape> with_layers(const ServingShape& shape, double speed) const {
    const Bytes all = memory(first_) * static_cast<double>(shape.devices_in(first_)) +
                      memory(last_) * static_cast<double>(shape.devices_in(last_));
    if (weights_ > all) return std::nullopt;
    std::vector<double> parts(static_cast<std::size_t>(shape.stages), static_cast<double>(shape.tensor));
    parts.insert(parts.end(), static_cast<std::size_t>(shape.other->stages), speed * static_cast<double>(shape.other->tensor));
    const std::int64_t by_speed = balance_layers(scenario_.model, parts)[static_cast<std::size_t>(shape.stages) - 1].end;
    if (fits(shape, by_speed, true) && fits(shape, by_speed, false)) return cut_at(shape, by_speed);
    // The more layers a part has, the more memory it takes: the most of the first part, and the fewest that leave the last one room.
    const std::int64_t fewest = shape.stages;
    const std::int64_t most = scenario_.model.layers - shape.other->stages;
    if (!fits(shape, fewest, true) || !fits(shape, most, false)) return std::nullopt;
    const std::int64_t at_most = edge(fewest, most, [&](std::int64_t n) { return fits(shape, n, true); });
    const std::int64_t at_least = most - (edge(0, most - fewest, [&](std::int64_t n) { return fits(shape, most - n, false); }));
    if (at_least > at_most) return std::nullopt;
    return cut_at(shape, std::clamp(by_speed, at_least, at_most));
  }

  // The last of [low, high] for which it holds. REQUIRES: it holds for low, and once it does not it no longer does.
  static std::int64_t edge(std::int64_t low, std::int64_t high, const auto& holds) {
    while (low < high) {
      const std::int64_t middle = low + (high - low + 1) / 2;
      if (holds(middle)) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return low;
  }

  [[nodiscard]] ServingShape cut_at(ServingShape shape, std::int64_t layers) const {
    shape.other->layers_before = layers;
    shape.other->layers = scenario_.model.layers - layers;
    return shape;
  }

  // Whether the first or the last stages have room with so many layers on the first ones.
  [[nodiscard]] bool fits(const ServingShape& shape, std::int64_t layers, bool first) const {
    const GroupPlan group = group_of(scenario_, cut_at(shape, layers), 1);
    std::vector<std::vector<Bytes>> room;
    for (const StagePlan& stage : group.stages) {
      const bool here = room.size() < static_cast<std::size_t>(shape.stages);
      const Bytes each = here == first ? memory(here ? first_ : last_) : Bytes(1e18);
      room.emplace_back(stage.ranks.size(), each);
    }
    return std::holds_alternative<Capacity>(kv_capacity(scenario_.model, group, room));
  }

  // Of a device, as make_fleet takes it.
  [[nodiscard]] Bytes memory(std::size_t index) const {
    const Device& device = scenario_.devices.at(pool(index).node.device);
    const auto profile = profiles_.find(device.name);
    const bool measured = profile != profiles_.end() && profile->second.memory.value() > 0.0;
    return measured ? profile->second.memory : device.memory;
  }

  ServingSpace& space_;
  const Scenario& scenario_;
  const std::map<std::string, Profile>& profiles_;
  const std::size_t first_;
  const std::size_t last_;
  double reading_ = 0.0;    // speed of a device of the last stages over one of the first
  double products_ = 0.0;
  Bytes weights_{0};        // of the model
};

void add_shape(ServingSpace& space, const Scenario& scenario, const ServingShape& shape) {
  ++space.tried;
  const Pool& pool = scenario.cluster.pools[shape.pool];
  if (shape.devices() > pool.devices()) {
    space.pruned.add("more devices than the pool has", 1, text_of(shape) + " on " + pool.name);
  } else if (shape.stages > scenario.model.layers) {
    space.pruned.add("more stages than layers", 1, text_of(shape));
  } else {
    space.shapes.push_back(shape);
  }
}

void add_roles(ServingSpace& space, const Scenario& scenario, ServingShape shape, bool apart) {
  for (const std::int64_t budget : kBudgets) {
    shape.budget = budget;
    shape.kv_offload = offload_of(scenario, scenario.cluster.pools[shape.pool]);
    add_shape(space, scenario, shape);
  }
  if (!apart) return;
  shape.kv_offload = Bytes{0};
  shape.role = Role::kPrefill;
  for (const std::int64_t budget : kPromptBudgets) {
    shape.budget = budget;
    add_shape(space, scenario, shape);
  }
  shape.role = Role::kDecode;
  shape.budget = kDecodeBudget;
  add_shape(space, scenario, shape);
}

}  // namespace

void add_shapes_on(ServingSpace& space, const Scenario& scenario, std::size_t pool, const std::vector<Dtype>& dtypes, bool apart) {
  const Pool& own = scenario.cluster.pools[pool];
  for (std::int64_t tensor = 1; tensor <= widest_tensor(scenario, own); tensor *= 2) {
    for (int stages = 1; stages <= kMostStages; stages *= 2) {
      for (const Dtype dtype : dtypes) {
        ServingShape shape{pool, tensor, stages, dtype, kv_dtype(scenario, own.name, dtype)};
        for (const bool dealt : expert_cuts(scenario.model, tensor)) {
          shape.dealt = dealt;
          add_roles(space, scenario, shape, apart);
        }
      }
    }
  }
}

void add_shapes_over(ServingSpace& space, const Scenario& scenario, const std::map<std::string, Profile>& profiles,
                     std::size_t first, std::size_t last, const std::vector<Dtype>& dtypes, bool apart) {
  TwoPools cuts(space, scenario, profiles, first, last);
  for (const Dtype dtype : dtypes) cuts.add(dtype, apart);
}

}  // namespace lindos::sim
