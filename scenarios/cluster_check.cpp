// SPDX-License-Identifier: Apache-2.0
// What concerns several tables of the fleet: a fabric for more than one node, caps above idle
// power, spares beside the plan.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "scenarios/plan_pools.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/text_layout.h"

namespace lindos {
namespace {

Watts idle_power(const Pool& pool, const Device& device) {
  return pool.node.power_idle != Watts{0}
             ? pool.node.power_idle
             : device.power_idle * static_cast<double>(pool.node.devices);
}

// A cap below what the machines draw without work cannot be kept by slowing them down.
void check_cap(const TomlTable& table, std::string_view key, Watts cap, Watts idle,
               const std::string& of) {
  if (cap == Watts{0} || cap > idle) return;
  table.fail(key, format(cap) + " is not above the idle power of " + of + ", " +
                      format(rounded_quantity(idle)) + "; no slowdown keeps it");
}

// "; set it, such as to …": the catalogue's figure for the device, or for the first other one that has a link.
std::string link_to_set(const std::string& device, const Catalogue& catalogue) {
  const auto text = [](const Device& d) {
    return "; set it, such as to \"" + format(d.scale_out_bandwidth) + "\", the catalogue's for " + d.name;
  };
  const auto linked = [](const Device& d) { return d.scale_out_bandwidth > BytesPerSecond{0}; };
  const auto own = catalogue.devices.find(device);
  if (own != catalogue.devices.end() && linked(own->second)) return text(own->second);
  const auto other = std::find_if(catalogue.devices.begin(), catalogue.devices.end(),
                                  [&](const auto& entry) { return linked(entry.second); });
  return other == catalogue.devices.end() ? "; set it" : text(other->second);
}

}  // namespace

void check_fabric(const TomlTable& cluster_table, const Cluster& cluster) {
  std::int64_t nodes = 0;
  for (const Pool& p : cluster.pools) nodes += p.nodes;
  if (nodes > 1 && cluster.fabric.kind == "none") {
    cluster_table.fail(
        "", std::to_string(nodes) +
                " nodes need a [fabric], such as kind = \"rail-fat-tree\" with switch_ports = 64");
  }
}

void check_power(const TomlTable& power_table, const Scenario& scenario) {
  const Power& power = scenario.cluster.power;
  Watts fleet{0};
  for (const Pool& pool : scenario.cluster.pools) {
    const Device& device = scenario.devices.at(pool.node.device);
    const Watts node = idle_power(pool, device);
    check_cap(power_table, "device_cap", power.device_cap, device.power_idle, device.name);
    check_cap(power_table, "rack_cap", power.rack_cap, node * pool.nodes_per_rack,
              "a rack of pool \"" + pool.name + '"');
    fleet += node * static_cast<double>(pool.nodes);
  }
  check_cap(power_table, "site_cap", power.site_cap, fleet * power.pue,
            "the fleet at PUE " + number_text(power.pue));
}

void check_spares(const TomlTable& cluster_table, const Scenario& scenario) {
  const std::map<std::string, std::int64_t> used = devices_by_pool(scenario.plan);
  const std::vector<TomlTable> tables = cluster_table.tables_or_none("pool");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const Pool& pool = scenario.cluster.pools[i];
    const auto found = used.find(pool.name);
    if (pool.spares.value_or(0) == 0 || found == used.end()) continue;
    const std::int64_t nodes = (found->second + pool.node.devices - 1) / pool.node.devices;
    if (nodes + *pool.spares > pool.nodes) {
      tables[i].fail("spares", "the plan takes " + with_thousands(nodes) + " of the " +
                                   with_thousands(pool.nodes) + " nodes, so at most " +
                                   with_thousands(std::max<std::int64_t>(0, pool.nodes - nodes)) +
                                   " can be spares, saw " + with_thousands(*pool.spares));
    }
  }
}

void check_links(const TomlTable& cluster_table, const Scenario& scenario, const Catalogue& catalogue) {
  if (scenario.workload.kind != WorkloadKind::kTraining) return;
  const std::map<std::string, std::int64_t> used = devices_by_pool(scenario.plan);
  const std::vector<TomlTable> tables = cluster_table.tables_or_none("pool");
  for (std::size_t i = 0; i < tables.size(); ++i) {
    const Pool& pool = scenario.cluster.pools[i];
    const Device& device = scenario.devices.at(pool.node.device);
    const auto found = used.find(pool.name);
    if (found == used.end() || device.compute_capability == 0) continue;
    if (device.scale_out_bandwidth > BytesPerSecond{0}) continue;
    const std::int64_t within = std::max<std::int64_t>(device.scale_up_domain, pool.node.devices);
    if (used.size() == 1 && found->second <= within) continue;
    tables[i].fail("device", "the job takes " + with_thousands(found->second) + " devices of this pool" +
                                 (used.size() > 1 ? " beside others" : "") + ", and " + with_thousands(within) +
                                 " reach each other without a network, but device \"" + device.name +
                                 "\" has scale_out_bandwidth = 0" + link_to_set(device.name, catalogue));
  }
}

}  // namespace lindos
