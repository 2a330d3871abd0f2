// SPDX-License-Identifier: Apache-2.0
#include <string>

#include "scenarios/plan_json.h"
#include "scenarios/scenario.h"

namespace lindos {

std::string digest(const Scenario& scenario) { return digest_of_text(to_toml(scenario)); }
std::string digest(const Plan& plan) { return digest_of_text(to_json(plan)); }

}  // namespace lindos
