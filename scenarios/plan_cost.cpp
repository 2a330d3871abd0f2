// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_cost.h"

#include <cstddef>

namespace lindos {

std::optional<DollarsPerSecond> plan_cost(const Cluster& cluster, const std::vector<std::int64_t>& devices, Watts site) {
  DollarsPerSecond sum = site * cluster.power.energy_price;
  for (std::size_t p = 0; p < devices.size(); ++p) {
    if (devices[p] == 0) continue;
    const DollarsPerSecond price = cluster.pools[p].device_price;
    if (price.value() <= 0.0) return std::nullopt;
    sum += price * static_cast<double>(devices[p]);
  }
  return sum;
}

double dollars_per_million_tokens(DollarsPerSecond cost, double tokens_per_s) { return cost.value() / tokens_per_s * 1e6; }

}  // namespace lindos
