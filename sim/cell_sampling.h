// SPDX-License-Identifier: Apache-2.0
// Sampling of a fleet whose routing looks at load: cell by cell. Cells have the groups' replicas in equal parts as far
// as whole replicas allow; requests reach a cell by a draw in proportion to its routing weight, so that a Poisson
// process stays one.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scenarios/plan.h"
#include "sim/fleet_sampling.h"

namespace lindos::sim {

// Replicas of each group in one of `cells` cells.
[[nodiscard]] std::vector<std::int64_t> replicas_in_cell(const std::vector<GroupPlan>& groups, std::int64_t cells,
                                                         std::int64_t cell);

[[nodiscard]] std::unique_ptr<FleetSampling> sample_cells(const Scenario& scenario, const Fleet& fleet,
                                                          const PredictOptions& options);

}  // namespace lindos::sim
