// SPDX-License-Identifier: Apache-2.0
// The whole fleet as a SimGrid platform: one host per node, its NICs as one link up and one down,
// pools of cables between the tiers. Routes are computed from FleetTopology when a message starts,
// so that building costs a host and two links per node and nothing per pair. Every link has latency
// 0; start-up is a sleep (handbook §3.1). One platform per process; use run_isolated for more.
#pragma once

#include <cstdint>
#include <vector>

#include <simgrid/s4u.hpp>

#include "sim/fleet_topology.h"

namespace lindos::sim {

// NICs that one host drives beyond its own node's: a pipeline stage that spans several nodes acts
// as one.
struct NicBundle {
  std::int64_t first_node = 0;
  std::int64_t devices = 1;  // whose NICs these are, in all
};

class FleetPlatform {
 public:
  // `shared`: by link id, the pools of cables that routes pass through; pools that no set of
  // messages can fill may be left out without changing any result. A bundle's first node has all
  // its NICs. `topology` must outlive the platform. REQUIRES: no other engine exists in this
  // process.
  FleetPlatform(const FleetTopology& topology, const std::vector<NicBundle>& bundles,
                const std::vector<bool>& shared);

  [[nodiscard]] simgrid::s4u::Host* host(std::int64_t node) const {
    return hosts_[static_cast<std::size_t>(node)];
  }
  // Runs all actors to the end.
  void run() { engine_.run(); }

 private:
  simgrid::s4u::Engine engine_;
  std::vector<simgrid::s4u::Host*> hosts_;  // by node: SimGrid's own look-up walks all zones
};

}  // namespace lindos::sim
