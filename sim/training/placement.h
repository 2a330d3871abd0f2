// SPDX-License-Identifier: Apache-2.0
// Where the stages of a job's replicas sit in the fleet. Replicas take the devices of each pool in
// the order of the job's groups; one host acts for a stage, the node of its first device. Constant
// size: positions are computed. The topology must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios/units.h"
#include "sim/fleet_platform.h"
#include "sim/fleet_topology.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

class Placement {
 public:
  // Throws Error{kInput} for a pool that the fleet lacks, Error{kInfeasible} when the job takes
  // more devices than a pool has.
  Placement(const TrainingJob& job, const FleetTopology& fleet);

  [[nodiscard]] std::int64_t node(std::size_t group, std::int64_t replica,
                                  std::size_t stage) const {
    const Site& s = sites_[group][stage];
    return s.first_node + (s.first_device + replica * s.devices_per_replica) / s.devices_per_node;
  }
  // NIC of one device of the stage.
  [[nodiscard]] BytesPerSecond nic(std::size_t group, std::size_t stage) const {
    return sites_[group][stage].nic;
  }
  [[nodiscard]] const FleetTopology& fleet() const { return *fleet_; }
  // The stages that span several nodes.
  [[nodiscard]] std::vector<NicBundle> bundles(const TrainingJob& job) const;

 private:
  struct Site {
    std::int64_t first_node = 0;           // of the pool
    std::int64_t first_device = 0;         // in the pool, of the first replica
    std::int64_t devices_per_replica = 0;  // in the pool
    int devices_per_node = 1;
    BytesPerSecond nic{0};
  };
  const FleetTopology* fleet_;
  std::vector<std::vector<Site>> sites_;  // [group][stage]
};

}  // namespace lindos::sim
