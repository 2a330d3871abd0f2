// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: admission limits of a plan ↔ JSON and TOML, and what makes them wrong.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/json_reader.h"
#include "scenarios/plan.h"
#include "scenarios/plan_place.h"
#include "scenarios/toml_table.h"
#include "scenarios/workload.h"

namespace lindos {

[[nodiscard]] nlohmann::ordered_json json_of(const AdmissionLimits& limits);
[[nodiscard]] AdmissionLimits admission_of(JsonObject object);
[[nodiscard]] AdmissionLimits read_admission(const TomlTable& table);

// Throws Error{kInput} at `place` for limits that contradict each other or name a tenant that the workload does not have.
void check_admission(const AdmissionLimits& limits, const std::vector<Tenant>& tenants, const Place& place);

// One line per limit, for people.
[[nodiscard]] std::vector<std::string> show_admission(const AdmissionLimits& limits);

}  // namespace lindos
