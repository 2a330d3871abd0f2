// SPDX-License-Identifier: Apache-2.0
// The devices that take part in a run as a SimGrid platform: one host per device, links up and down
// per device into the scale-up crossbar and into the scale-out leaf, pooled leaf up-links where the
// fabric is oversubscribed, one memory link on a CPU node. Every link has latency 0: start-up is a
// sleep of the sender, because CM02 shares a link in inverse proportion to path latency (modelling
// handbook §3.1). One platform per process (SimGrid keeps one engine); use run_isolated for more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <simgrid/s4u.hpp>

#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct PlatformDevice {
  Device device;
  std::int64_t position = 0;  // along the nodes, counted from the first of the run
  int devices_per_node = 1;
  BytesPerSecond memory_copy{0};  // hosts: bandwidth of a copy between two ranks
};

class Platform {
 public:
  // REQUIRES: no other engine exists in this process.
  Platform(const Fabric& fabric, std::vector<PlatformDevice> devices);

  // Creates the route from one device to another; idempotent. Throws Error{kInfeasible} when there
  // is none.
  void connect(std::size_t from, std::size_t to);
  // No routes after this. Must precede the first actor.
  void seal();
  [[nodiscard]] simgrid::s4u::Host* host(std::size_t device) const { return hosts_[device]; }
  // Runs all actors to the end.
  void run() { engine_.run(); }

 private:
  [[nodiscard]] simgrid::s4u::Link* link(const std::string& name, BytesPerSecond bandwidth);
  [[nodiscard]] std::vector<simgrid::s4u::LinkInRoute> route(std::size_t from, std::size_t to);
  [[nodiscard]] std::string leaf_of(const PlatformDevice& d) const;

  Fabric fabric_;
  std::vector<PlatformDevice> devices_;
  simgrid::s4u::Engine engine_;
  simgrid::s4u::NetZone* zone_ = nullptr;
  std::vector<simgrid::s4u::Host*> hosts_;
  std::map<std::string, simgrid::s4u::Link*> links_;
  std::map<std::pair<std::size_t, std::size_t>, bool> connected_;
};

}  // namespace lindos::sim
