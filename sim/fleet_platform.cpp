// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_platform.h"

#include <string>

#include <simgrid/kernel/routing/NetPoint.hpp>
#include <simgrid/kernel/routing/NetZoneImpl.hpp>

#include "scenarios/error.h"
#include "sim/simgrid_engine.h"

namespace lindos::sim {

namespace sg = simgrid::s4u;
namespace routing = simgrid::kernel::routing;

namespace {

using LinkImpl = simgrid::kernel::resource::StandardLinkImpl;

// A zone that asks the topology for its routes. SimGrid's own star zone cannot tell neighbours
// below one leaf from others, and a zone per leaf makes building quadratic: each host's name is
// sought in every zone.
class FleetZone final : public routing::NetZoneImpl {
 public:
  explicit FleetZone(const FleetTopology& topology)
      : NetZoneImpl("fleet"), topology_(topology), links_(topology.links(), nullptr) {}

  void set_link(LinkId id, const sg::Link* link) { links_[id] = link->get_impl(); }

  // Host i is node i: hosts are created first and in order.
  void get_local_route(const routing::NetPoint* from, const routing::NetPoint* to,
                       routing::Route* into, double* /*latency*/) override {
    for (const LinkId id : topology_.path(static_cast<std::int64_t>(from->id()),
                                          static_cast<std::int64_t>(to->id()))) {
      if (links_[id] != nullptr) into->link_list_.push_back(links_[id]);
    }
  }

 private:
  const FleetTopology& topology_;
  std::vector<LinkImpl*> links_;  // by id; null: not in routes
};

}  // namespace

FleetPlatform::FleetPlatform(const FleetTopology& topology, const std::vector<NicBundle>& bundles,
                             const std::vector<bool>& shared)
    : engine_(make_engine(Actors::kMany)) {
  LINDOS_ASSERT(shared.size() == topology.links(), "one flag per link");
  // The engine owns zones and deletes them.
  auto* const zone = new FleetZone(topology);
  sg::NetZone* const fleet = zone->get_iface();
  const std::int64_t nodes = topology.nodes();
  hosts_.reserve(static_cast<std::size_t>(nodes));
  for (std::int64_t n = 0; n < nodes; ++n) {
    hosts_.push_back(fleet->create_host("node-" + std::to_string(n), kHostSpeed)->seal());
    LINDOS_ASSERT(hosts_.back()->get_netpoint()->id() == static_cast<unsigned long>(n),
                  "the zone numbers hosts as they come");
  }
  std::vector<std::int64_t> bundled(static_cast<std::size_t>(nodes), 0);
  for (const NicBundle& bundle : bundles)
    bundled[static_cast<std::size_t>(bundle.first_node)] = bundle.devices;
  for (LinkId id = 0; id < topology.links(); ++id) {
    BytesPerSecond capacity = topology.capacity(id);
    if (topology.is_shared(id)) {
      if (!shared[id]) continue;
    } else if (const std::int64_t devices = bundled[static_cast<std::size_t>(id % nodes)];
               devices > 0) {
      capacity = topology.pool_of(id % nodes).nic * static_cast<double>(devices);
    }
    // The topology refuses paths over such a link.
    if (capacity.value() <= 0.0) continue;
    zone->set_link(id, fleet->create_link("link-" + std::to_string(id), capacity.value())
                           ->set_latency(0.0)
                           ->seal());
  }
  fleet->seal();
}

}  // namespace lindos::sim
