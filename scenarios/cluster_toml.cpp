// SPDX-License-Identifier: Apache-2.0
// Cluster, fabric, storage and power ↔ TOML.
#include <set>
#include <string>

#include "scenarios/scenario_toml.h"

namespace lindos {
namespace {

Pool read_pool(const TomlTable& table) {
  table.allow({"name", "device", "node", "devices_per_node", "nodes", "node_power_max",
               "node_power_idle", "nodes_per_rack", "racks_per_array", "racks_per_cooling_unit",
               "racks_per_hall", "device_price", "spares", "source"});
  Pool pool;
  pool.name = table.text("name");
  pool.node.device = table.text("device");
  pool.node.name = table.text_or("node", pool.node.device);
  pool.node.devices = static_cast<int>(table.integer("devices_per_node", 1, kMaxDevicesPerNode));
  pool.nodes = table.integer("nodes", 1, kMaxNodes);
  pool.node.power_max = table.quantity_or("node_power_max", Watts{0});
  pool.node.power_idle = table.quantity_or("node_power_idle", Watts{0});
  if (pool.node.power_idle != Watts{0} && !table.has("node_power_max")) {
    table.fail("node_power_idle", "needs node_power_max beside it");
  }
  if (pool.node.power_idle != Watts{0} && pool.node.power_idle >= pool.node.power_max) {
    table.fail("node_power_idle", format(pool.node.power_idle) +
                                      " idle is not below node_power_max " +
                                      format(pool.node.power_max));
  }
  pool.nodes_per_rack = table.small_or("nodes_per_rack", 0, 0, 10'000);
  pool.racks_per_array = table.small_or("racks_per_array", 0, 0, 100'000);
  pool.racks_per_cooling_unit = table.small_or("racks_per_cooling_unit", 1, 1, 100'000);
  pool.racks_per_hall = table.small_or("racks_per_hall", 0, 0, 1'000'000);
  if (pool.racks_per_array > 0 && pool.nodes_per_rack == 0) {
    table.fail("racks_per_array", "arrays of racks need nodes_per_rack");
  }
  if (pool.racks_per_hall > 0 && pool.nodes_per_rack == 0) {
    table.fail("racks_per_hall", "halls of racks need nodes_per_rack");
  }
  pool.device_price = table.quantity_or("device_price", DollarsPerSecond{0});
  if (table.has("spares")) pool.spares = table.integer("spares", 0, pool.nodes);
  pool.source = table.source();
  return pool;
}

}  // namespace

Cluster read_cluster(const TomlTable& table) {
  table.allow({"name", "pool"});
  Cluster cluster;
  cluster.name = table.text("name");
  std::set<std::string> names;
  for (const TomlTable& entry : table.tables_or_none("pool")) {
    cluster.pools.push_back(read_pool(entry));
    if (!names.insert(cluster.pools.back().name).second) {
      entry.fail("name", "second pool named \"" + cluster.pools.back().name + '"');
    }
  }
  if (cluster.pools.empty()) table.fail("", "a cluster needs at least one [[cluster.pool]]");
  return cluster;
}

Fabric read_fabric(const TomlTable& table) {
  table.allow({"kind", "switch_ports", "planes", "leaf_oversubscription", "spine_oversubscription",
               "efficiency", "hop_latency", "source"});
  Fabric fabric;
  fabric.kind = table.word("kind", {"none", "rail-fat-tree", "ethernet-fat-tree", "shared-memory"});
  fabric.switch_ports = table.small_or("switch_ports", 0, 0, 65'536);
  if (fabric.kind.ends_with("fat-tree") && fabric.switch_ports < 2) {
    table.fail("switch_ports", "a " + fabric.kind + " needs switch_ports of 2 or more, such as 64");
  }
  fabric.planes = table.small_or("planes", 1, 1, 1024);
  fabric.leaf_oversubscription = table.number_or("leaf_oversubscription", 1.0, 1.0, 1000.0);
  fabric.spine_oversubscription = table.number_or("spine_oversubscription", 1.0, 1.0, 1000.0);
  fabric.efficiency = table.number_or("efficiency", 1.0, 0.01, 1.0);
  fabric.hop_latency = table.quantity_or("hop_latency", Seconds{0});
  fabric.source = table.source();
  return fabric;
}

Storage read_storage(const TomlTable& table) {
  table.allow({"write_bandwidth", "read_bandwidth", "node_bandwidth", "source"});
  Storage storage;
  const auto above_zero = [&](std::string_view key) {
    const auto bandwidth = table.quantity<BytesPerSecond>(key);
    if (bandwidth == BytesPerSecond{0}) table.fail(key, "must be above zero");
    return bandwidth;
  };
  storage.write_bandwidth = above_zero("write_bandwidth");
  storage.read_bandwidth = above_zero("read_bandwidth");
  if (table.has("node_bandwidth")) storage.node_bandwidth = above_zero("node_bandwidth");
  storage.source = table.source();
  return storage;
}

Power read_power(const TomlTable& table) {
  table.allow({"site_cap", "pue", "rack_cap", "device_cap", "energy_price", "source"});
  Power power;
  power.site_cap = table.quantity_or("site_cap", Watts{0});
  power.pue = table.number_or("pue", 1.0, 1.0, 5.0);
  power.rack_cap = table.quantity_or("rack_cap", Watts{0});
  power.device_cap = table.quantity_or("device_cap", Watts{0});
  power.energy_price = table.quantity_or("energy_price", DollarsPerJoule{0});
  power.source = table.source();
  return power;
}

void write_cluster(TomlText& out, const Cluster& cluster) {
  out.header("cluster");
  out.text("name", cluster.name);
  for (const Pool& p : cluster.pools) {
    out.array_header("cluster.pool");
    out.text("name", p.name);
    out.text("device", p.node.device);
    out.text("node", p.node.name);
    out.integer("devices_per_node", p.node.devices);
    out.integer("nodes", p.nodes);
    out.quantity("node_power_max", p.node.power_max);
    out.quantity("node_power_idle", p.node.power_idle);
    out.integer("nodes_per_rack", p.nodes_per_rack);
    out.integer("racks_per_array", p.racks_per_array);
    out.integer("racks_per_cooling_unit", p.racks_per_cooling_unit);
    out.integer("racks_per_hall", p.racks_per_hall);
    if (p.device_price != DollarsPerSecond{0}) out.quantity("device_price", p.device_price);
    if (p.spares) out.integer("spares", *p.spares);
    out.source(p.source);
  }
  // Tables that no file gave are equal to their defaults and stay absent.
  if (cluster.fabric != Fabric{}) {
    const Fabric& f = cluster.fabric;
    out.header("fabric");
    out.text("kind", f.kind);
    out.integer("switch_ports", f.switch_ports);
    out.integer("planes", f.planes);
    out.number("leaf_oversubscription", f.leaf_oversubscription);
    out.number("spine_oversubscription", f.spine_oversubscription);
    out.number("efficiency", f.efficiency);
    out.quantity("hop_latency", f.hop_latency);
    out.source(f.source);
  }
  if (cluster.storage != Storage{}) {
    const Storage& s = cluster.storage;
    out.header("storage");
    out.quantity("write_bandwidth", s.write_bandwidth);
    out.quantity("read_bandwidth", s.read_bandwidth);
    if (s.node_bandwidth != BytesPerSecond{0}) out.quantity("node_bandwidth", s.node_bandwidth);
    out.source(s.source);
  }
  if (cluster.power != Power{}) {
    const Power& p = cluster.power;
    out.header("power");
    out.quantity("site_cap", p.site_cap);
    out.number("pue", p.pue);
    out.quantity("rack_cap", p.rack_cap);
    out.quantity("device_cap", p.device_cap);
    if (p.energy_price != DollarsPerJoule{0}) out.quantity("energy_price", p.energy_price);
    out.source(p.source);
  }
  if (cluster.faults != Faults{}) write_faults(out, cluster.faults);
}

}  // namespace lindos
