// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/serving_short_list.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace lindos::sim {

namespace {

// The first `count` of those that differ from each other in more than the tokens of a step.
std::vector<PricedShape*> different(const std::vector<PricedShape*>& ranked, std::size_t count) {
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
double rate_per_watt(const ServingTask& task, const PricedShape& shape) {
  double most = 0.0;
  for (std::size_t step = 0; step < kLimitSteps; ++step)
    most = std::max(most, shape.screened[step] / task.added_by(shape, step).value());
  return most;
}

}  // namespace

ServingShortList short_list(const ServingTask& task, ServingScreen& screened, Pruned& pruned) {
  const bool power = task.power_counts();
  ServingShortList kept;
  std::size_t left_out = 0;
  for (std::vector<PricedShape>& shapes : screened.shapes) {
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
      std::vector<PricedShape*> best = different(all, task.closed() ? all.size() : part.first == Role::kBoth ? kKeptShapes : 1);
      if (power) {
        by([&](const PricedShape& shape) { return rate_per_watt(task, shape); });
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
  for (PricedShape& shape : screened.over) (shape.shape.role == Role::kBoth ? kept.over : kept.apart[shape.shape.kv]).push_back(&shape);
  // Half of the work alone serves nobody.
  std::erase_if(kept.apart, [](const auto& apart) {
    const auto has = [&](Role role) {
      return std::any_of(apart.second.begin(), apart.second.end(), [&](const PricedShape* s) { return s->shape.role == role; });
    };
    return !has(Role::kPrefill) || !has(Role::kDecode);
  });
  pruned.add(power ? "bears less load per device and per watt than the best of its pool"
                   : "bears less load per device than the best of its pool",
             static_cast<std::int64_t>(left_out));
  return kept;
}

}  // namespace lindos::sim
