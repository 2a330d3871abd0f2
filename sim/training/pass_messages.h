// SPDX-License-Identifier: Apache-2.0
// What the passes of a pipeline send between nodes: activations and their gradients between stages,
// tokens to and from experts of other replicas. Sizes and rates are of a whole stage; paths come
// from the fleet, prices from the job. Plain values; no SimGrid.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scenarios/units.h"
#include "sim/training/exchange_rings.h"
#include "sim/training/placement.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// Priced way of one direction between neighbouring stages.
struct Wire {
  std::size_t to = 0;
  Seconds start_up{0};
  BytesPerSecond rate{0};  // of all the sender's ranks
};
// From stage `from` on its forward or backward way; the last stage's forward way leads to the
// first.
[[nodiscard]] Wire wire_of(const GroupJob& group, std::size_t from, bool backward);

// Replicas that hold other experts of the stage and lie beyond the scale-up domain, nearest first.
// Empty when the stage sends them nothing.
[[nodiscard]] std::vector<std::int64_t> expert_peers(const TrainingJob& job,
                                                     const Placement& placement, std::size_t group,
                                                     std::int64_t replica, std::size_t stage);

// Sends of one replica that leave a node's scale-up domain: from, to, highest rate.
void for_each_message(
    const TrainingJob& job, const Placement& placement, std::size_t group, std::int64_t replica,
    const std::function<void(std::int64_t from, std::int64_t to, BytesPerSecond rate)>& visit);

// Pools of cables that messages could fill if all that may be under way at once were: by link id.
// All others never bind, whatever happens.
[[nodiscard]] std::vector<bool> contended_pools(const TrainingJob& job, const Placement& placement,
                                                const std::vector<ExchangeRing>& rings);

// Replicas of a group whose passes send through one of these pools, and those that deal experts out
// with one that does: by replica.
[[nodiscard]] std::vector<bool> contended_replicas(const std::vector<bool>& pools,
                                                   const TrainingJob& job,
                                                   const Placement& placement, std::size_t group);

}  // namespace lindos::sim
