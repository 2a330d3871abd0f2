// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/chosen_replicas.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace lindos::sim {

namespace {

std::int64_t devices_of(const Pool& pool, LostUnit unit) {
  return pool.node.devices * (unit == LostUnit::kRack ? std::max<std::int64_t>(1, pool.nodes_per_rack) : 1);
}

// Without `size` devices of the pool from the `first` on.
std::vector<Chosen> left_without(std::size_t pool, std::int64_t first, std::int64_t size, std::vector<Chosen> chosen) {
  std::int64_t begin = 0;
  for (Chosen& c : chosen) {
    const std::int64_t each = c.shape->devices[pool];
    if (each == 0) continue;
    const std::int64_t end = begin + each * c.replicas;
    const std::int64_t from = std::max(begin, first);
    const std::int64_t to = std::min(end, first + size);
    if (from < to) c.replicas -= (to - begin + each - 1) / each - (from - begin) / each;
    begin = end;
  }
  return chosen;
}

}  // namespace

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
bool same_replicas(const std::vector<Chosen>& a, const std::vector<Chosen>& b) {
  const auto same = [](const Chosen& x, const Chosen& y) {
    return x.shape == y.shape && x.limit_step == y.limit_step && x.replicas == y.replicas;
  };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), same);
}

double served_without(LostUnit unit, const Scenario& scenario, const std::vector<Chosen>& chosen,
                      const std::vector<double>& rates) {
  double least = served(chosen, rates);
  if (unit == LostUnit::kNothing) return least;
  for (std::size_t p = 0; p < scenario.cluster.pools.size(); ++p) {
    const std::int64_t size = devices_of(scenario.cluster.pools[p], unit);
    // Units at the ends of parts hold two of them; all between are like the second of a part.
    std::set<std::int64_t> units;
    std::int64_t begin = 0;
    for (const Chosen& c : chosen) {
      if (c.devices_in(p) == 0) continue;
      const std::int64_t end = begin + c.devices_in(p);
      units.insert({begin / size, begin / size + 1, (end - 1) / size});
      begin = end;
    }
    for (const std::int64_t lost : units) least = std::min(least, served(left_without(p, lost * size, size, chosen), rates));
  }
  return least;
}

std::vector<Chosen> by_load(const std::vector<Chosen>& kinds, const std::vector<std::int64_t>& replicas) {
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

ReplicaKind replica_kind(const PricedShape& shape, double rate, Watts added, double cost) {
  const std::size_t first = shape.shape.other ? std::min(shape.shape.pool, shape.shape.other->pool) : shape.shape.pool;
  ReplicaKind kind{first, shape.devices[first], rate, added, cost, shape.shape.role};
  if (shape.shape.other) {
    const std::size_t second = std::max(shape.shape.pool, shape.shape.other->pool);
    kind.other = PoolUse{second, shape.devices[second]};
  }
  return kind;
}

std::string pools_of(const Scenario& scenario, const PricedShape& shape) {
  std::string out;
  for (std::size_t p = 0; p < shape.devices.size(); ++p) {
    if (shape.devices[p] > 0) out += (out.empty() ? "" : "+") + scenario.cluster.pools[p].name;
  }
  return out;
}

std::string name_of_parts(const Scenario& scenario, const std::vector<Chosen>& chosen) {
  std::vector<std::string> parts;
  for (const Chosen& c : chosen) {
    const std::string part = text_of(c.shape->shape) + " on " + pools_text(scenario, c.shape->shape);
    if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
  }
  std::string out;
  for (const std::string& part : parts) out += (out.empty() ? "" : "; ") + part;
  return out;
}

}  // namespace lindos::sim
