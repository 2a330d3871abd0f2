// SPDX-License-Identifier: Apache-2.0
// So many replicas of one priced shape under one power limit, as parts of a serving plan, and what the parts serve together: all of
// them, and without the node or rack whose loss costs most. Pointers borrow: shapes must outlive what is chosen of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/planner/allocate.h"
#include "sim/planner/plan_serving.h"
#include "sim/planner/serving_screen.h"

namespace lindos::sim {

// One kind of replica in a plan.
struct Chosen {
  PricedShape* shape;
  std::size_t limit_step;
  std::int64_t replicas;
  double weight;   // of routing, per replica
  [[nodiscard]] Watts limit() const { return shape->limits[limit_step]; }
  [[nodiscard]] double rate() const { return shape->rate(limit_step); }
  [[nodiscard]] Role role() const { return shape->shape.role; }
  [[nodiscard]] std::int64_t devices_in(std::size_t pool) const { return shape->devices[pool] * replicas; }
  [[nodiscard]] double total_weight() const { return weight * static_cast<double>(replicas); }
};

[[nodiscard]] std::vector<double> rates_of(const std::vector<Chosen>& chosen);
[[nodiscard]] bool same_replicas(const std::vector<Chosen>& a, const std::vector<Chosen>& b);

// As a column of the allocation (allocate.h).
[[nodiscard]] ReplicaKind replica_kind(const PricedShape& shape, double rate, Watts added, double cost);

// What the parts serve together at these rates of one replica each: requests go out by weight, prompts and what follows
// apart, so that the first part to reach its limit ends it.
[[nodiscard]] double served(const std::vector<Chosen>& chosen, const std::vector<double>& rates);

// The same without the unit whose loss costs most; the router goes on by the same weights. The parts of a pool lie one behind
// the other, each from the start of a unit's node.
[[nodiscard]] double served_without(LostUnit unit, const Scenario& scenario, const std::vector<Chosen>& chosen,
                                    const std::vector<double>& rates);

// Those that there are, with routing by load: prompts that are computed apart as many as can be decoded. REQUIRES: weights of
// `kinds` are the rates of one replica.
[[nodiscard]] std::vector<Chosen> by_load(const std::vector<Chosen>& kinds, const std::vector<std::int64_t>& replicas);

// "h100", "h100+h200".
[[nodiscard]] std::string pools_of(const Scenario& scenario, const PricedShape& shape);
// "TP8 bf16, steps of 8192 tokens on h100; …".
[[nodiscard]] std::string name_of_parts(const Scenario& scenario, const std::vector<Chosen>& chosen);

}  // namespace lindos::sim
