// SPDX-License-Identifier: Apache-2.0
// Which replica a request goes to, as a pure state machine: loads in, replica out. Real routers and the simulated
// fleet ask the same code. The same calls give the same answers on every platform.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/workload.h"

namespace lindos::scheduler {

// Replicas that differ by nothing that routing knows.
struct ReplicaClass {
  double weight = 1.0;  // of each replica; none of weight 0 is chosen
  std::int64_t replicas = 1;
};

struct Target {
  std::size_t group = 0;     // class
  std::int64_t replica = 0;  // within it
  bool operator==(const Target&) const = default;
};

class Router {
 public:
  // Unfinished requests of a replica; asked only for those whose load the policy looks at.
  using Outstanding = std::function<std::int64_t(const Target&)>;

  // REQUIRES: a replica with a weight above 0.
  Router(const Routing& routing, std::vector<ReplicaClass> classes, std::uint64_t seed);

  // Policies with draws draw by the request's id, and by its prefix where that is known.
  //   weighted round robin  smooth: every turn each class gains its weight, the richest serves and pays the sum;
  //                         within a class in turn
  //   least outstanding     least (unfinished + 1) / weight; of equals the one whose last request is oldest
  //   power of two choices  Mitzenmacher, IEEE TPDS 12(10), 2001
  //   prefix affinity       weighted rendezvous hashing of the prefix, first replica whose load is within the bound
  //                         (consistent hashing with bounded loads: Mirrokni, Thorup, Zadimoghaddam, SODA 2018);
  //                         prompts without a known prefix go by least outstanding
  [[nodiscard]] Target route(const RequestSpec& request, const Outstanding& outstanding);

 private:
  [[nodiscard]] Target in_turn();
  [[nodiscard]] Target drawn(std::uint64_t request, std::uint32_t draw) const;
  [[nodiscard]] Target least(const Outstanding& outstanding) const;
  [[nodiscard]] Target better_of_two(std::uint64_t request, const Outstanding& outstanding) const;
  [[nodiscard]] Target by_prefix(std::uint64_t prefix, const Outstanding& outstanding) const;
  [[nodiscard]] double load(const Target& target, const Outstanding& outstanding) const;

  Routing routing_;
  std::vector<ReplicaClass> classes_;
  std::uint64_t seed_;
  double total_weight_ = 0.0;
  std::vector<double> credit_;                         // [class], of round robin
  std::vector<std::int64_t> turn_;                     // [class]
  std::vector<std::vector<std::uint64_t>> last_asked_;  // [class][replica], where load is looked at
  std::uint64_t routed_ = 0;
};

}  // namespace lindos::scheduler
