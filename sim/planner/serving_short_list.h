// SPDX-License-Identifier: Apache-2.0
// Which screened shapes stay in the running, to be simulated and allocated.
#pragma once

#include <map>
#include <vector>

#include "scenarios/units.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_screen.h"
#include "sim/planner/serving_task.h"

namespace lindos::sim {

struct ServingShortList {
  std::vector<std::vector<PricedShape*>> both;       // [pool with any], best first
  std::vector<PricedShape*> over;                    // of two pools, that do both
  std::map<Dtype, std::vector<PricedShape*>> apart;  // by format of the KV that they hand over
};

// Shapes of a pool that do both parts of the work stay so many; of those that do a part of it one.
inline constexpr std::size_t kKeptShapes = 3;

// Per pool and role, by load per device; where power counts, also by load per watt. All where none has to be simulated. Of those
// over two pools what screening has kept.
[[nodiscard]] ServingShortList short_list(const ServingTask& task, ServingScreen& screened, Pruned& pruned);

}  // namespace lindos::sim
