// SPDX-License-Identifier: Apache-2.0
// What a plan costs while it runs: the devices that it takes at the prices of their pools, and the site's energy.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/hardware.h"

namespace lindos {

// `devices`: of each pool of the cluster, in its order; `site`: the site's power at the meter. nullopt: a pool that lends some
// has no price. Energy without a price costs nothing.
[[nodiscard]] std::optional<DollarsPerSecond> plan_cost(const Cluster& cluster, const std::vector<std::int64_t>& devices,
                                                        Watts site);

// The metric of this name. REQUIRES: tokens_per_s > 0.
[[nodiscard]] double dollars_per_million_tokens(DollarsPerSecond cost, double tokens_per_s);

}  // namespace lindos
