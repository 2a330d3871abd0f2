// SPDX-License-Identifier: Apache-2.0
#include "sim/platform.h"

#include <algorithm>
#include <utility>

#include "scenarios/error.h"
#include "sim/interconnect.h"
#include "sim/simgrid_engine.h"

namespace lindos::sim {

namespace sg = simgrid::s4u;

Platform::Platform(const Fabric& fabric, std::vector<PlatformDevice> devices)
    : fabric_(fabric), devices_(std::move(devices)), engine_(make_engine(Actors::kFew)) {
  zone_ = sg::create_full_zone("cluster");
  for (std::size_t i = 0; i < devices_.size(); ++i) {
    hosts_.push_back(zone_->create_host("device-" + std::to_string(i), kHostSpeed));
  }
}

sg::Link* Platform::link(const std::string& name, BytesPerSecond bandwidth) {
  sg::Link*& entry = links_[name];
  if (entry == nullptr)
    entry = zone_->create_link(name, bandwidth.value())->set_latency(0.0)->seal();
  return entry;
}

// A leaf serves one rail (plane) of as many nodes as it has down ports.
std::string Platform::leaf_of(const PlatformDevice& d) const {
  const std::int64_t node = d.position / std::max(1, d.devices_per_node);
  const std::int64_t rail =
      d.position % std::max(1, d.devices_per_node) % std::max(1, fabric_.planes);
  return std::to_string(node / fabric_.leaf_down_ports()) + "-" + std::to_string(rail);
}

std::vector<sg::LinkInRoute> Platform::route(std::size_t from, std::size_t to) {
  const PlatformDevice& a = devices_[from];
  const PlatformDevice& b = devices_[to];
  std::vector<sg::LinkInRoute> links;
  const auto pass = [&](const std::string& name, BytesPerSecond bandwidth) {
    if (bandwidth.value() <= 0.0) {
      throw Error(ErrorKind::kInfeasible, "platform",
                  "no path from device " + std::to_string(from) + " to device " +
                      std::to_string(to) + ": \"" + name + "\" has no bandwidth");
    }
    links.emplace_back(link(name, bandwidth));
  };
  if (is_host(a.device) && is_host(b.device)) {
    pass("memory", std::min(a.memory_copy, b.memory_copy));
    return links;
  }
  const std::string up = "-up-" + std::to_string(from);
  const std::string down = "-down-" + std::to_string(to);
  const std::int64_t domain = std::max(1, a.device.scale_up_domain);
  if (a.device.scale_up_bandwidth.value() > 0.0 && a.position / domain == b.position / domain) {
    pass("scale-up" + up, a.device.scale_up_bandwidth);
    pass("scale-up" + down, b.device.scale_up_bandwidth);
    return links;
  }
  const BytesPerSecond nic_up = a.device.scale_out_bandwidth * fabric_.efficiency;
  const BytesPerSecond nic_down = b.device.scale_out_bandwidth * fabric_.efficiency;
  pass("nic" + up, nic_up);
  if (fabric_.switch_ports > 0 && leaf_of(a) != leaf_of(b)) {
    const double pooled = static_cast<double>(fabric_.leaf_down_ports()) / fabric_.leaf_oversubscription;
    pass("leaf-up-" + leaf_of(a), nic_up * pooled);
    pass("leaf-down-" + leaf_of(b), nic_down * pooled);
  }
  pass("nic" + down, nic_down);
  return links;
}

void Platform::connect(std::size_t from, std::size_t to) {
  if (std::exchange(connected_[{from, to}], true)) return;
  zone_->add_route(hosts_[from]->get_netpoint(), hosts_[to]->get_netpoint(), nullptr, nullptr,
                   route(from, to),
                   /*symmetrical=*/false);
}

void Platform::seal() {
  for (sg::Host* host : hosts_) host->seal();
  zone_->seal();
}

}  // namespace lindos::sim
