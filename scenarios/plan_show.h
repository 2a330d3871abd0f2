// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: the plan's part of the terminal summary: groups, degrees, shares of every stage and, in
// training, the memory of the fullest rank.
#pragma once

#include <string>

#include "scenarios/scenario.h"

namespace lindos {

[[nodiscard]] std::string show_plan(const Scenario& scenario);

}  // namespace lindos
