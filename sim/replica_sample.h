// SPDX-License-Identifier: Apache-2.0
// Which replicas of a fleet are simulated. Replicas of a group are alike: same devices, same plan, same routing
// weight; they differ by the requests they happen to be dealt. So a random sample of each group answers for it, and
// says how well (fleet_outcome.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "scenarios/plan.h"

namespace lindos::sim {

class ReplicaSample {
 public:
  // All replicas, in their own order.
  explicit ReplicaSample(const std::vector<GroupPlan>& groups);
  // At most `per_group` of each group's replicas, in random order. The same arguments give the same sample on every
  // platform.
  ReplicaSample(const std::vector<GroupPlan>& groups, std::int64_t per_group, std::uint64_t seed);

  [[nodiscard]] std::size_t groups() const { return places_.size(); }
  // Sampled replicas of a group, and the place of one of them in it.
  [[nodiscard]] std::size_t size(std::size_t group) const { return sizes_[group]; }
  static constexpr std::int32_t kNone = -1;
  // The place of a replica in the sample of its group, or kNone.
  [[nodiscard]] std::int32_t place(std::size_t group, std::int64_t replica) const {
    return places_[group][static_cast<std::size_t>(replica)];
  }
  [[nodiscard]] std::int64_t replicas(std::size_t group) const {
    return static_cast<std::int64_t>(places_[group].size());
  }

 private:
  std::vector<std::vector<std::int32_t>> places_;  // [group][replica]
  std::vector<std::size_t> sizes_;                 // [group]
};

}  // namespace lindos::sim
