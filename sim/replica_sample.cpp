// SPDX-License-Identifier: Apache-2.0
#include "sim/replica_sample.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "scenarios/philox.h"

namespace lindos::sim {

namespace {

// Uniform below `count`. The bias of the product is below count / 2^32.
std::size_t draw_below(std::size_t count, std::uint64_t seed, std::uint32_t group, std::uint32_t turn) {
  constexpr std::uint32_t kPurpose = 0x73616d70;  // "samp": no other draw of the seed uses it
  const std::uint64_t word = philox({turn, group, kPurpose, 0}, philox_key(seed))[0];
  return static_cast<std::size_t>(word * count >> 32U);
}

std::vector<std::int32_t> all_of(const GroupPlan& group) {
  std::vector<std::int32_t> replicas(static_cast<std::size_t>(std::max<std::int64_t>(1, group.replicas)));
  std::iota(replicas.begin(), replicas.end(), 0);
  return replicas;
}

}  // namespace

ReplicaSample::ReplicaSample(const std::vector<GroupPlan>& groups) {
  for (const GroupPlan& group : groups) {
    places_.push_back(all_of(group));
    sizes_.push_back(places_.back().size());
  }
}

ReplicaSample::ReplicaSample(const std::vector<GroupPlan>& groups, std::int64_t per_group,
                             std::uint64_t seed) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    std::vector<std::int32_t> order = all_of(groups[g]);
    const std::size_t take = std::min(order.size(), static_cast<std::size_t>(per_group));
    // The first steps of the shuffle of Fisher and Yates.
    for (std::size_t i = 0; i < take; ++i) {
      const std::size_t j = i + draw_below(order.size() - i, seed, static_cast<std::uint32_t>(g),
                                           static_cast<std::uint32_t>(i));
      std::swap(order[i], order[j]);
    }
    std::vector<std::int32_t>& places = places_.emplace_back(order.size(), kNone);
    for (std::size_t i = 0; i < take; ++i)
      places[static_cast<std::size_t>(order[i])] = static_cast<std::int32_t>(i);
    sizes_.push_back(take);
  }
}

}  // namespace lindos::sim
