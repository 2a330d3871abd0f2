// SPDX-License-Identifier: Apache-2.0
// Serving on a few devices, or on the ranks of one machine: so few plans that each is simulated request by request.
// Besides plans of one kind of device there are replicas that mix kinds, one rank of each pool: in equal parts, and in
// parts by speed (of reading, which bounds decodes, and of products, which bound prompts), as tensor ranks or as stages. GPUs
// of two pools also as stages of several ranks (serving_space.h).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/plan_serving.h"

namespace lindos::sim {

// One machine's ranks, or at most 16 devices.
[[nodiscard]] bool is_few(const Scenario& scenario);

// Every plan that is looked at, the scenario's own first. Devices keep the power limits that the scenario's groups have on
// their pools; what mixes kinds is held to the least of them. Without profiles no part goes by speed; the shapes are the
// same, so that a probe of them serves all.
[[nodiscard]] std::vector<Plan> few_plans(const Scenario& scenario, const std::map<std::string, Profile>& profiles);

// The objective is what the scenario's own requests get: output tokens per second of those that kept the promises.
// REQUIRES: is_few, a serving workload. Throws as plan_serving.
[[nodiscard]] ServingAnswer plan_few(const Scenario& scenario, const std::map<std::string, Profile>& profiles,
                                     const ServingQuestion& question);

}  // namespace lindos::sim
