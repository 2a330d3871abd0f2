// SPDX-License-Identifier: Apache-2.0
// What a fleet may draw by its nameplates, and the caps of its site. Nameplates are those of the
// nodes; where a pool states none, those of its devices alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos {

struct PoolPower {
  std::string pool;
  std::int64_t nodes = 0, devices = 0;
  Watts nameplate{0};       // of all its nodes, before cooling
  Watts idle{0};            // the same at rest
  bool whole_nodes = true;  // false: devices only, the scenario says nothing of the nodes
  bool operator==(const PoolPower&) const = default;
};

struct SitePower {
  std::vector<PoolPower> pools;
  Power limits;
  [[nodiscard]] Watts nameplate() const;  // of all pools, before cooling
  [[nodiscard]] Watts idle() const;
  // With cooling and losses, as the meter reads it.
  [[nodiscard]] Watts at_meter(Watts it) const { return it * limits.pue; }
  bool operator==(const SitePower&) const = default;
};

[[nodiscard]] SitePower site_power(const Scenario& scenario);

}  // namespace lindos
