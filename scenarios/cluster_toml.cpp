// SPDX-License-Identifier: Apache-2.0
// Cluster, fabric, power and faults ↔ TOML.
#include <set>
#include <string>

#include "scenarios/scenario_toml.h"

namespace lindos {
namespace {

Pool read_pool(const TomlTable& table) {
  table.allow({"name", "device", "node", "devices_per_node", "nodes", "node_power_max",
               "node_power_idle", "nodes_per_rack", "racks_per_array", "source"});
  Pool pool;
  pool.name = table.text("name");
  pool.node.device = table.text("device");
  pool.node.name = table.text_or("node", pool.node.device);
  pool.node.devices = static_cast<int>(table.integer("devices_per_node", 1, kMaxDevicesPerNode));
  pool.nodes = table.integer("nodes", 1, kMaxNodes);
  pool.node.power_max = table.quantity_or("node_power_max", Watts{0});
  pool.node.power_idle = table.quantity_or("node_power_idle", Watts{0});
  if (table.has("node_power_idle") && pool.node.power_idle >= pool.node.power_max &&
      pool.node.power_idle != Watts{0}) {
    table.fail("node_power_idle", format(pool.node.power_idle) +
                                      " idle is not below node_power_max " +
                                      format(pool.node.power_max));
  }
  pool.nodes_per_rack = table.small_or("nodes_per_rack", 0, 0, 10'000);
  pool.racks_per_array = table.small_or("racks_per_array", 0, 0, 100'000);
  if (pool.racks_per_array > 0 && pool.nodes_per_rack == 0) {
    table.fail("racks_per_array", "arrays of racks need nodes_per_rack");
  }
  pool.source = table.source();
  return pool;
}

FaultClass read_fault_class(const TomlTable& table) {
  table.allow({"name", "rate_per_device", "repair", "source"});
  FaultClass c;
  c.name = table.text("name");
  c.rate_per_device = table.quantity<Hertz>("rate_per_device");
  c.repair = table.quantity<Seconds>("repair");
  c.source = table.source();
  return c;
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

Power read_power(const TomlTable& table) {
  table.allow({"site_cap", "pue", "rack_cap", "device_cap", "source"});
  Power power;
  power.site_cap = table.quantity_or("site_cap", Watts{0});
  power.pue = table.number_or("pue", 1.0, 1.0, 5.0);
  power.rack_cap = table.quantity_or("rack_cap", Watts{0});
  power.device_cap = table.quantity_or("device_cap", Watts{0});
  power.source = table.source();
  return power;
}

Faults read_faults(const TomlTable& table) {
  table.allow({"speed_sigma", "slow_share", "slow_factor", "jitter_sigma", "detect", "restart",
               "class", "source"});
  Faults faults;
  faults.speed_sigma = table.number_or("speed_sigma", 0.0, 0.0, 2.0);
  faults.slow_share = table.number_or("slow_share", 0.0, 0.0, 1.0);
  faults.slow_factor = table.number_or("slow_factor", 1.0, 0.01, 1.0);
  faults.jitter_sigma = table.number_or("jitter_sigma", 0.0, 0.0, 2.0);
  faults.detect = table.quantity_or("detect", Seconds{0});
  faults.restart = table.quantity_or("restart", Seconds{0});
  faults.source = table.source();
  std::set<std::string> names;
  for (const TomlTable& entry : table.tables_or_none("class")) {
    faults.classes.push_back(read_fault_class(entry));
    if (!names.insert(faults.classes.back().name).second) {
      entry.fail("name", "second fault class named \"" + faults.classes.back().name + '"');
    }
  }
  return faults;
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
  if (cluster.power != Power{}) {
    const Power& p = cluster.power;
    out.header("power");
    out.quantity("site_cap", p.site_cap);
    out.number("pue", p.pue);
    out.quantity("rack_cap", p.rack_cap);
    out.quantity("device_cap", p.device_cap);
    out.source(p.source);
  }
  if (cluster.faults != Faults{}) {
    const Faults& f = cluster.faults;
    out.header("faults");
    out.number("speed_sigma", f.speed_sigma);
    out.number("slow_share", f.slow_share);
    out.number("slow_factor", f.slow_factor);
    out.number("jitter_sigma", f.jitter_sigma);
    out.quantity("detect", f.detect);
    out.quantity("restart", f.restart);
    out.source(f.source);
    for (const FaultClass& c : f.classes) {
      out.array_header("faults.class");
      out.text("name", c.name);
      out.quantity("rate_per_device", c.rate_per_device);
      out.quantity("repair", c.repair);
      out.source(c.source);
    }
  }
}

}  // namespace lindos
