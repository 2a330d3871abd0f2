// SPDX-License-Identifier: Apache-2.0
#include "scenarios/device_map.h"

#include <bit>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/plan_place.h"

namespace lindos {

namespace {

// Equal bits, so that NaN equals itself.
bool same(float a, float b) { return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b); }

}  // namespace

std::vector<PoolShape> pool_shapes(const Scenario& scenario) {
  std::vector<PoolShape> shapes;
  for (const Pool& pool : scenario.cluster.pools) {
    shapes.push_back({pool.name, pool.node.device, scenario.devices.at(pool.node.device).label, pool.node.devices,
                      pool.nodes, pool.nodes_per_rack, pool.racks_per_array, pool.racks_per_hall});
  }
  return shapes;
}

const std::vector<Metric>& device_quantity_registry() {
  static const std::vector<Metric> kRegistry = {
      {"utilisation", "utilisation/1", "Utilisation in the step", "1", "%", 100.0, 3,
       "useful FLOP of the device's stage in one step / (its peak × step time)",
       "Share of its peak that the device puts into work the model needs, while steps run. Equal for all devices of "
       "a stage: "
       "they end every pass together.",
       Better::kHigher, Worst::kMin, false},
      {"slowdown", "slowdown/1", "Slowdown", "1", "×", 1.0, 4,
       "node_slowdown × spread of the slowest of the stage's devices in this node × heat",
       "How much longer computation takes than on a typical device. Drawn for the slowest of the devices that a "
       "stage has in a "
       "node; which one of them it is, is not drawn.",
       Better::kLower, Worst::kMax, false},
      {"node_slowdown", "node_slowdown/1", "Slowdown of the node", "1", "×", 1.0, 4,
       "1 / slow_factor of a slow node × compute_slowdown of every fail-slow episode it is in",
       "The part of the slowdown that the whole node has: it is a slow one, or a fail-slow episode passes.",
       Better::kLower, Worst::kMax, false},
      {"heat", "heat/1", "Slowdown by heat", "1", "×", 1.0, 4,
       "1 / thermal_factor in a node that is throttled, else 1",
       "The part of the slowdown that is throttling by heat.", Better::kLower, Worst::kMax, false},
      {"network", "network/1", "Slowdown of the network", "1", "×", 1.0, 4,
       "product of network_slowdown of the fail-slow episodes that the node is in",
       "How much longer messages through the node's NICs take; the exchange of gradients waits for the slowest.",
       Better::kLower, Worst::kMax, false},
      {"waiting", "waiting/1", "Waiting in the step", "1", "%", 100.0, 3,
       "1 − (the stage's own passes + its optimizer) / step time",
       "Share of the step in which the device waits: for its pipeline, for other replicas, for the exchange of "
       "gradients.",
       Better::kLower, Worst::kMax, false},
      {"power_w", "power_w/1", "Power drawn", "W", "W", 1.0, 4,
       "predicted: (idle power + what the work of the group adds / time) / its devices in the pool; measured: mean of what "
       "NVML reports",
       "Mean power of the board over the run. A prediction of serving gives the devices of a group in a pool the same, and "
       "those outside the plan their idle power; one of training does not compute it.",
       Better::kNeither, Worst::kMax, false},
      {"power_limit_w", "power_limit_w/1", "Power limit", "W", "W", 1.0, 4,
       "least of the device's maximum, the device cap, and its even part of what the site cap leaves",
       "What the device may draw; not what it draws.", Better::kNeither, Worst::kMax, false},
      {"temperature_c", "temperature_c/1", "Temperature", "°C", "°C", 1.0, 3, "highest that NVML reports over the run",
       "How hot the device became. Measured only: a prediction draws heat as a slowdown of the node, without a temperature.",
       Better::kLower, Worst::kMax, false},
  };
  return kRegistry;
}

const Metric* find_device_quantity(std::string_view name) {
  for (const Metric& quantity : device_quantity_registry()) {
    if (quantity.name == name) return &quantity;
  }
  return nullptr;
}

std::vector<FieldSpan> encode_field(const std::vector<float>& values) {
  std::vector<FieldSpan> spans;
  for (const float value : values) {
    if (spans.empty() || !same(spans.back().value, value)) {
      spans.push_back({1, value});
    } else {
      ++spans.back().devices;
    }
  }
  return spans;
}

std::vector<float> decode_field(const DeviceField& field, std::int64_t devices) {
  std::int64_t covered = 0;
  for (const FieldSpan& span : field.spans) covered += span.devices;
  if (covered != devices) {
    throw Error(ErrorKind::kInput, field.quantity,
                "covers " + std::to_string(covered) + " devices of a fleet of " + std::to_string(devices));
  }
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(devices));
  for (const FieldSpan& span : field.spans) values.insert(values.end(), span.devices, span.value);
  return values;
}

void validate_device_map(const DeviceMap& map, const std::string& where) {
  const Place root(where, "");
  for (std::size_t i = 0; i < map.pools.size(); ++i) {
    const PoolShape& pool = map.pools[i];
    const Place at = root.at("pools").at(i);
    at.require(!pool.name.empty(), "expected a name");
    at.require(pool.devices_per_node >= 1 && pool.nodes >= 0,
               "expected at least 1 device per node and no fewer than 0 nodes");
    at.require(pool.nodes_per_rack >= 0 && pool.racks_per_array >= 0 && pool.racks_per_hall >= 0,
               "a count is not negative");
  }
  for (std::size_t i = 0; i < map.stages.size(); ++i) {
    const PlacedStage& stage = map.stages[i];
    const Place at = root.at("stages").at(i);
    at.require(stage.pool >= 0 && stage.pool < static_cast<int>(map.pools.size()), "no such pool");
    at.require(stage.first >= 0 && stage.devices >= 1 && stage.replicas >= 1 && stage.stride >= stage.devices,
               "expected devices in the pool, each held once");
    const std::int64_t end = stage.first + (stage.replicas - 1) * stage.stride + stage.devices;
    at.require(end <= map.pools[static_cast<std::size_t>(stage.pool)].devices(), "ends outside its pool");
  }
  for (std::size_t i = 0; i < map.fields.size(); ++i) {
    const Place at = root.at("fields").at(i);
    at.require(find_device_quantity(map.fields[i].quantity) != nullptr,
               "unknown quantity \"" + map.fields[i].quantity + "\"");
    std::int64_t covered = 0;
    for (const FieldSpan& span : map.fields[i].spans) covered += span.devices;
    at.require(covered == map.devices(), "expected one value per device");
  }
  for (std::size_t i = 0; i < map.steps.size(); ++i) {
    const DrawnStep& step = map.steps[i];
    const Place at = root.at("steps").at(i);
    at.require(step.stage >= 0 && step.stage < static_cast<int>(map.stages.size()), "no such stage");
    at.require(step.replica >= 0 && step.replica < map.stages[static_cast<std::size_t>(step.stage)].replicas,
               "no such replica");
    at.require(std::isfinite(step.step_s) && step.step_s > 0.0, "expected a time above zero");
  }
  root.at("shown").require(
      map.steps.empty() ? map.shown == 0 : map.shown >= 0 && map.shown < static_cast<std::int64_t>(map.steps.size()),
      "no such step");
}

}  // namespace lindos
