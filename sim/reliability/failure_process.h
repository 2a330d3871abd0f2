// SPDX-License-Identifier: Apache-2.0
// What interrupts a training job, how often, and how many nodes that keeps in repair. Every unit
// (device, node, rack, leaf, …) of the job's and the spare nodes fails as a Poisson process of its
// own; an event takes the nodes of its unit out of service for a repair. Rates come from the
// scenario's fault classes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct PoolNodes {
  std::string name;
  std::string device;
  int devices_per_node = 1;
  std::int64_t job = 0;     // nodes that the plan takes
  std::int64_t spares = 0;  // nodes beside them, powered, that fail as often
  [[nodiscard]] std::int64_t all() const { return job + spares; }
};

// One fault class in one pool.
struct FailureSource {
  std::string name;
  std::size_t pool = 0;
  FaultScope scope = FaultScope::kDevice;
  Hertz rate{0};           // per unit
  std::int64_t units = 0;  // among all nodes of the pool's entry
  std::int64_t nodes_per_unit = 1;
  Seconds repair{0};  // mean; 0 = no node leaves
};

struct FailureProcess {
  std::vector<PoolNodes> pools;  // those that the job uses
  std::vector<FailureSource> sources;
  std::int64_t repair_slots = 0;  // 0 = every repair begins at once
};

// Throws Error{kInput} when the plan has no training group.
[[nodiscard]] FailureProcess make_failure_process(const Scenario& scenario);

// Events per second of a source, and those among them that hit the job while it has all its nodes.
[[nodiscard]] Hertz event_rate(const FailureSource& source);
[[nodiscard]] Hertz interruption_rate(const FailureProcess& process, const FailureSource& source);
// 1 / Σ interruption rates; infinite when nothing fails.
[[nodiscard]] Seconds mean_time_between_interruptions(const FailureProcess& process);

// Nodes of a pool in repair when every repair begins at once: Σ rate × nodes × repair, whatever the
// distribution of repair times (M/G/∞), and the smallest number that covers them with probability
// `quantile` (compound Poisson by Panjer's recursion, ASTIN Bulletin 12(1), 1981). Hold that many
// spares.
[[nodiscard]] double mean_nodes_out(const FailureProcess& process, std::size_t pool);
[[nodiscard]] std::int64_t nodes_out_quantile(const FailureProcess& process, std::size_t pool,
                                              double quantile);

}  // namespace lindos::sim
