// SPDX-License-Identifier: Apache-2.0
// Fleets small enough to count by hand: one kind of device with a NIC of 10 GB/s and no scale-up
// links beyond what a test gives it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "scenarios/hardware.h"

namespace lindos::sim::toy {

struct Fleet {
  Cluster cluster;
  std::map<std::string, Device> devices;
};

inline void add_pool(Fleet& fleet, const std::string& name, std::int64_t nodes,
                     int devices_per_node, int nodes_per_rack = 0, int racks_per_array = 0,
                     int scale_up_domain = 1) {
  Device device;
  device.name = name + "-gpu";
  device.scale_out_bandwidth = BytesPerSecond(10e9);
  device.scale_up_domain = scale_up_domain;
  if (scale_up_domain > 1) device.scale_up_bandwidth = BytesPerSecond(100e9);
  fleet.devices[device.name] = device;
  Pool pool;
  pool.name = name;
  pool.node.name = name + "-node";
  pool.node.device = device.name;
  pool.node.devices = devices_per_node;
  pool.nodes = nodes;
  pool.nodes_per_rack = nodes_per_rack;
  pool.racks_per_array = racks_per_array;
  fleet.cluster.pools.push_back(pool);
}

inline Fleet fat_tree(const std::string& kind, int ports, int planes, double leaf = 1.0,
                      double spine = 1.0) {
  Fleet fleet;
  fleet.cluster.name = "toy";
  fleet.cluster.fabric.kind = kind;
  fleet.cluster.fabric.switch_ports = ports;
  fleet.cluster.fabric.planes = planes;
  fleet.cluster.fabric.leaf_oversubscription = leaf;
  fleet.cluster.fabric.spine_oversubscription = spine;
  return fleet;
}

}  // namespace lindos::sim::toy
