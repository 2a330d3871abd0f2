// SPDX-License-Identifier: Apache-2.0
// How many units of a fault scope a pool has and how many nodes share one, so that a rate per
// device, rack or leaf switch becomes a rate of the fleet. Units are counted as in the design:
// partial racks, arrays and leaves are units too.
#pragma once

#include <cstdint>
#include <string_view>

#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos {

// "device", "node", "rack", "cooling_unit", "leaf", "array", "hall"; the key of a class is
// "rate_per_" + this.
[[nodiscard]] std::string_view name_of(FaultScope scope);
inline constexpr FaultScope kFaultScopes[] = {
    FaultScope::kDevice, FaultScope::kNode,  FaultScope::kRack, FaultScope::kCoolingUnit,
    FaultScope::kLeaf,   FaultScope::kArray, FaultScope::kHall};

// Nodes that leave service together; 0 when the pool or the fabric does not say how large such a
// unit is.
[[nodiscard]] std::int64_t nodes_per_unit(FaultScope scope, const Pool& pool, const Fabric& fabric);
// Units among `nodes` nodes of the pool. Leaves count once per plane that the nodes are attached
// to. REQUIRES: nodes_per_unit > 0.
[[nodiscard]] std::int64_t units_of(FaultScope scope, const Pool& pool, const Fabric& fabric,
                                    std::int64_t nodes);
// Whether the class occurs in this pool.
[[nodiscard]] bool occurs_in(const FaultClass& fault, const Pool& pool);
// Events per second of all classes over all nodes of the fleet.
[[nodiscard]] Hertz fleet_fault_rate(const Cluster& cluster);

}  // namespace lindos
