// SPDX-License-Identifier: Apache-2.0
// A plan in words: the plan's part of the terminal summary, with groups, degrees, shares of every stage and, in
// training, the memory of the fullest rank.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/scenario.h"

namespace lindos {

// "prefill and decode", "prefill", "decode", "training".
[[nodiscard]] std::string_view name_of(Role role);
[[nodiscard]] std::string show_plan(const Scenario& scenario);

}  // namespace lindos
