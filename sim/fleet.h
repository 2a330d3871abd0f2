// SPDX-License-Identifier: Apache-2.0
// A scenario's plan made ready to simulate: per group the replica model and the scheduler limits that
// the capacity rule allows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "exec/scheduler/limits.h"
#include "scenarios/capacity.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/interconnect.h"
#include "sim/platform.h"
#include "sim/replica_model.h"

namespace lindos::sim {

struct ServingGroup {
  GroupPlan plan;
  Capacity capacity;
  scheduler::Limits limits;
  ReplicaModel replica;
  std::vector<PlatformDevice> stage_devices;
  Interconnect outward;            // of one rank, beyond its scale-up domain; of several kinds the slower
  Bytes kv_bytes_per_token{0};     // all ranks
};

[[nodiscard]] inline double replicas_of(const GroupPlan& group) {
  return static_cast<double>(group.replicas < 1 ? 1 : group.replicas);
}

struct Fleet {
  std::vector<ServingGroup> groups;
  std::map<std::string, Profile> profiles;  // by device name, as used
  std::string hardware;                     // "8 × NVIDIA H200"
  bool limits_admission = false;            // some requests may be turned away
};

// Throws Error{kInfeasible} with the capacity rule's reason, Error{kInput} for a training group, or where prompts are
// computed apart and there is no group that decodes them in the same KV format.
[[nodiscard]] Fleet make_fleet(const Scenario& scenario,
                               const std::map<std::string, Profile>& profiles_by_device,
                               const std::string& backend);

}  // namespace lindos::sim
