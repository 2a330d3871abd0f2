// SPDX-License-Identifier: Apache-2.0
// A plan file may say which scenario it was made for ("made_for"), so that an old plan is not taken for an answer to a
// changed question. It is no part of the plan: the plan's digest does not depend on it.
#pragma once

#include <string>
#include <string_view>

#include "scenarios/plan.h"
#include "scenarios/scenario.h"

namespace lindos {

// What a plan is an answer to: everything but the plan and what the scenario is called.
[[nodiscard]] std::string question_digest(const Scenario& scenario);

// The plan file with its "made_for".
[[nodiscard]] std::string to_json(const Plan& plan, const Scenario& made_for);

// Throws Error{kInput} at `where` when the file says that it was made for another scenario.
void check_made_for(std::string_view plan_file, const Scenario& scenario, const std::string& where);

}  // namespace lindos
