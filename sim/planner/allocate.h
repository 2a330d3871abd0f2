// SPDX-License-Identifier: Apache-2.0
// How many replicas of what on each pool: a mixed-integer program, solved by CBC; of fleets of thousands the relaxed one, rounded.
//   maximise   Σ replicas × rate          (of two shapes that serve alike the one that draws less; prompts alone serve nobody)
//   subject to Σ replicas × devices  <= devices of the pool, for each pool (a replica may take devices of two)
//              Σ replicas × added power <= what the site leaves above idle
//              Σ rates of those that only decode <= Σ rates of those that only compute prompts
//   or, with a demand: the least cost that serves it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct PoolUse {
  std::size_t pool = 0;        // index into AllocationLimits::devices
  std::int64_t devices = 1;
  bool operator==(const PoolUse&) const = default;
};

// One kind of replica, at one clock.
struct ReplicaKind {
  std::size_t pool = 0;        // index into AllocationLimits::devices
  std::int64_t devices = 1;
  double rate = 0.0;           // requests per second that it serves
  Watts added{0};              // above the idle power of its devices and their part of the node
  double cost = 0.0;           // in any unit
  Role role = Role::kBoth;
  std::optional<PoolUse> other = std::nullopt;  // of a replica that spans two pools: what it takes of the second
  // How many there can be.
  [[nodiscard]] std::int64_t most(const std::vector<std::int64_t>& devices_of_pools) const;
};

struct AllocationLimits {
  std::vector<std::int64_t> devices;  // [pool]
  std::optional<Watts> added;         // of all replicas together; nothing: no limit
  double demand = 0.0;                // requests per second, at the least cost; 0: as many as possible
};

// Replicas per kind; nothing when the limits allow no answer (a demand that is out of reach).
[[nodiscard]] std::optional<std::vector<std::int64_t>> allocate(const std::vector<ReplicaKind>& kinds,
                                                                const AllocationLimits& limits);

}  // namespace lindos::sim
