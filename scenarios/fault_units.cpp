// SPDX-License-Identifier: Apache-2.0
#include "scenarios/fault_units.h"

#include <algorithm>

#include "scenarios/error.h"

namespace lindos {

std::string_view name_of(FaultScope scope) {
  switch (scope) {
    case FaultScope::kDevice:
      return "device";
    case FaultScope::kNode:
      return "node";
    case FaultScope::kRack:
      return "rack";
    case FaultScope::kCoolingUnit:
      return "cooling_unit";
    case FaultScope::kLeaf:
      return "leaf";
    case FaultScope::kArray:
      return "array";
    case FaultScope::kHall:
      return "hall";
  }
  return "";
}

std::int64_t nodes_per_unit(FaultScope scope, const Pool& pool, const Fabric& fabric) {
  const std::int64_t rack = pool.nodes_per_rack;
  switch (scope) {
    case FaultScope::kDevice:
    case FaultScope::kNode:
      return 1;
    case FaultScope::kRack:
      return rack;
    case FaultScope::kCoolingUnit:
      return rack * pool.racks_per_cooling_unit;
    case FaultScope::kLeaf:
      return fabric.switch_ports > 0 ? fabric.leaf_down_ports() : 0;
    case FaultScope::kArray:
      return rack * pool.racks_per_array;
    case FaultScope::kHall:
      return rack * pool.racks_per_hall;
  }
  return 0;
}

std::int64_t units_of(FaultScope scope, const Pool& pool, const Fabric& fabric,
                      std::int64_t nodes) {
  if (scope == FaultScope::kDevice) return nodes * pool.node.devices;
  const std::int64_t size = nodes_per_unit(scope, pool, fabric);
  LINDOS_ASSERT(size > 0, "a unit of unknown size cannot be counted");
  const std::int64_t units = (nodes + size - 1) / size;
  // A node with fewer devices than the fabric has planes is attached to as many planes as it has
  // devices.
  return scope == FaultScope::kLeaf
             ? units * std::clamp(pool.node.devices, 1, std::max(1, fabric.planes))
             : units;
}

bool occurs_in(const FaultClass& fault, const Pool& pool) {
  return fault.device.empty() || fault.device == pool.node.device;
}

Hertz fleet_fault_rate(const Cluster& cluster) {
  Hertz sum{0};
  for (const FaultClass& fault : cluster.faults.classes) {
    for (const Pool& pool : cluster.pools) {
      if (!occurs_in(fault, pool)) continue;
      sum +=
          fault.rate * static_cast<double>(units_of(fault.scope, pool, cluster.fabric, pool.nodes));
    }
  }
  return sum;
}

}  // namespace lindos
