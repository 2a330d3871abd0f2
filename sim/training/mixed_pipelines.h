// SPDX-License-Identifier: Apache-2.0
// Pipelines whose stages lie on different kinds of device, with layers in proportion to their speed: the kinds
// take uneven work inside each replica instead of waiting for each other between replicas.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scenarios/scenario.h"

namespace lindos::sim {

// Rewrites the scenario's plan, given how many layers a second each of its groups' stages gets through: as many replicas as both the fastest kind and the others can give a stage to,
// one stage of the fastest kind each; devices that are left over form pipelines of their own kind as before.
// Returns why it does not apply, or nothing.
[[nodiscard]] std::optional<std::string> mix_pipelines(Scenario& scenario,
                                                       const std::vector<double>& layer_rates);

}  // namespace lindos::sim
