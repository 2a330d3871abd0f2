// SPDX-License-Identifier: Apache-2.0
// Whether a plan can be what a scenario runs, wherever it comes from: the scenario's table or a file of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "scenarios/plan.h"
#include "scenarios/scenario.h"

namespace lindos {

// validate_plan, check_pools, check_power_limits and, for a training workload, validate_training, in this order.
void check_plan(const Plan& plan, const Scenario& scenario, const std::string& where);

// nullptr: the cluster has none of this name.
[[nodiscard]] const Pool* find_pool(const Cluster& cluster, const std::string& name);

// Devices by pool name: of one replica of a group, and of all replicas of a plan.
[[nodiscard]] std::map<std::string, std::int64_t> devices_per_replica(const GroupPlan& group);
[[nodiscard]] std::map<std::string, std::int64_t> devices_by_pool(const Plan& plan);

// Every rank names a pool of the scenario's cluster, and no pool lends more devices than it has. CPU ranks share a
// machine's cores, so any number of them fits. Throws Error{kInput} at `where` (a file, or file:line:column).
void check_pools(const Plan& plan, const Scenario& scenario, const std::string& where);

// Why a device cannot be held to this limit; empty: it can, or the limit is 0, which is none.
[[nodiscard]] std::string why_no_limit(const Device& device, Watts limit);
// REQUIRES: check_pools. Throws Error{kInput} at the group's limit.
void check_power_limits(const Plan& plan, const Scenario& scenario, const std::string& where);

}  // namespace lindos
