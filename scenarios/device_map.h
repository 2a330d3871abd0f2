// SPDX-License-Identifier: Apache-2.0
// What a run says about single devices: the shape of the fleet, where the job's stages sit in it, and quantities per
// device for one drawn step. Devices are numbered through the pools in the order of the scenario, inside a pool node by
// node. A quantity that a prediction does not know per device is absent, never zero. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/metrics.h"
#include "scenarios/scenario.h"

namespace lindos {

// A pool as it is laid out. Counts need not tile; 0 nodes per rack, racks per array or racks per hall: not said.
struct PoolShape {
  std::string name;
  std::string device;  // name in the catalogue
  std::string label;   // "NVIDIA H100 SXM5 80 GB"
  int devices_per_node = 1;
  std::int64_t nodes = 0;
  int nodes_per_rack = 0;
  int racks_per_array = 0;
  int racks_per_hall = 0;
  [[nodiscard]] std::int64_t devices() const { return nodes * devices_per_node; }
  bool operator==(const PoolShape&) const = default;
};
[[nodiscard]] std::vector<PoolShape> pool_shapes(const Scenario& scenario);

// Stage `stage` of replica r of a group holds the devices [first + r × stride, … + devices) of its pool.
struct PlacedStage {
  std::string group;
  int stage = 0;
  int pool = 0;              // position in DeviceMap::pools
  std::int64_t first = 0;    // position in the pool
  std::int64_t devices = 1;
  std::int64_t stride = 1;
  std::int64_t replicas = 1;
  bool operator==(const PlacedStage&) const = default;
};

// `devices` neighbours with one value; NaN: these devices do not have the quantity.
struct FieldSpan {
  std::uint32_t devices = 0;
  float value = 0.0F;
};

// One value per device, run-length encoded: neighbours in a node share what is drawn per node.
struct DeviceField {
  std::string quantity;  // of device_quantity_registry()
  std::vector<FieldSpan> spans;
};

// One drawn step, and whom it waited for.
struct DrawnStep {
  std::int64_t draw = 0;
  double step_s = 0.0;
  int stage = 0;             // position in DeviceMap::stages
  std::int64_t replica = 0;  // of that stage's group
  bool operator==(const DrawnStep&) const = default;
};

struct DeviceMap {
  std::vector<PoolShape> pools;
  std::vector<PlacedStage> stages;
  std::vector<DeviceField> fields;  // of the drawn step steps[shown]
  std::vector<DrawnStep> steps;     // every draw
  std::int64_t shown = 0;           // position in `steps`: the draw with the median step time
  [[nodiscard]] std::int64_t devices() const {
    std::int64_t n = 0;
    for (const PoolShape& pool : pools) n += pool.devices();
    return n;
  }
};

// The quantities per device, as the registry of metrics defines a metric: "slowdown", "waiting", …
[[nodiscard]] const std::vector<Metric>& device_quantity_registry();
[[nodiscard]] const Metric* find_device_quantity(std::string_view name);

[[nodiscard]] std::vector<FieldSpan> encode_field(const std::vector<float>& values);
// One value per device. Throws Error{kInput} unless the spans cover exactly `devices`.
[[nodiscard]] std::vector<float> decode_field(const DeviceField& field, std::int64_t devices);

// Throws Error{kInput} at `where` for a map that contradicts itself: stages outside their pool, fields of unknown name or
// wrong length, a shown or gating position that does not exist.
void validate_device_map(const DeviceMap& map, const std::string& where);

}  // namespace lindos
