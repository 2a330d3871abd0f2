// SPDX-License-Identifier: Apache-2.0
// From chosen replicas to a plan of the scenario with what it serves, draws and costs.
#pragma once

#include <string>
#include <vector>

#include "sim/planner/chosen_replicas.h"
#include "sim/planner/plan_serving.h"
#include "sim/planner/serving_task.h"
#include "sim/planner/serving_verification.h"

namespace lindos::sim {

// REQUIRES: verified at the loosest limits; at least one part.
[[nodiscard]] PlannedServing make_planned_serving(const ServingTask& task, const ServingVerification& verification,
                                                  const std::string& name, const std::vector<Chosen>& chosen);

// Of each draw.
[[nodiscard]] std::vector<double> objectives(const ServingTask& task, const PlannedServing& plan);

}  // namespace lindos::sim
