// SPDX-License-Identifier: Apache-2.0
// A scenario's plan made ready to simulate: per group the replica model, the scheduler limits that
// the capacity rule allows, and which requests each replica is given.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "exec/scheduler/limits.h"
#include "scenarios/capacity.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "scenarios/workload.h"
#include "sim/platform.h"
#include "sim/replica_model.h"

namespace lindos::sim {

struct ServingGroup {
  GroupPlan plan;
  Capacity capacity;
  scheduler::Limits limits;
  ReplicaModel replica;
  std::vector<PlatformDevice> stage_devices;
};

// Requests of one replica, in order of arrival.
struct ReplicaShare {
  std::size_t group = 0;
  std::vector<RequestSpec> requests;
};

struct Fleet {
  std::vector<ServingGroup> groups;
  std::map<std::string, Profile> profiles;  // by device name, as used
  std::string hardware;                     // "8 × NVIDIA H200"
};

// Throws Error{kInfeasible} with the capacity rule's reason, Error{kInput} for roles other than
// "both".
[[nodiscard]] Fleet make_fleet(const Scenario& scenario,
                               const std::map<std::string, Profile>& profiles_by_device,
                               const std::string& backend);

// Deals requests to replicas by smooth weighted round robin over the groups' routing weights;
// within a group in turn; a client of a closed loop stays with the replica of its first request. Replicas without requests are left out. Deterministic.
[[nodiscard]] std::vector<ReplicaShare> deal_requests(const std::vector<GroupPlan>& groups,
                                                      const std::vector<RequestSpec>& requests);

}  // namespace lindos::sim
