// SPDX-License-Identifier: Apache-2.0
// A fleet's plan on the few ranks of one machine: fewer of everything, in the same proportions. What is kept is what
// makes a plan what it is: tensor ranks or stages, who holds more of a layer, which stage has more layers.
#pragma once

#include <cstdint>
#include <string>

#include "scenarios/scenario.h"

namespace lindos::sim {

struct HereOptions {
  std::int64_t ranks = 1;        // that the machine offers
  Bytes memory{0};               // of the machine; a model that takes more than two thirds is replaced
};

// `here`: a scenario of one pool, whose cluster, device and, if need be, model are taken. The group of `plan` that
// takes most devices stays, with one replica. Throws Error{kInput} for a training plan, which the engine does not run.
[[nodiscard]] Scenario fit_here(const Scenario& fleet, const Plan& plan, const Scenario& here,
                                const HereOptions& options);

}  // namespace lindos::sim
