// SPDX-License-Identifier: Apache-2.0
// The fleet: devices in nodes, nodes in racks and arrays, pools of identical nodes, fabric, storage, power, faults.
// Pool is the unit of heterogeneity. Counts need not tile: partial racks and arrays are kept.
// Plain values; SI units; datasheet figures are dense, one way, per device unless the name says otherwise.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/dtype.h"
#include "scenarios/units.h"

namespace lindos {

// Where a figure comes from; every catalogue value and fleet fact has one.
struct Source {
  std::string text;  // citation, or "assume: why"
  std::string date;  // ISO date of reading, may be empty
  bool operator==(const Source&) const = default;
};

// One accelerator type (or one CPU socket share standing in for it).
struct Device {
  std::string name;                       // "h100-sxm"
  std::string label;                      // "NVIDIA H100 SXM5 80 GB"
  std::map<Dtype, FlopPerSecond> peak;    // dense, per dtype
  Bytes memory{0};
  BytesPerSecond memory_bandwidth{0};
  BytesPerSecond scale_up_bandwidth{0};   // NVLink one way per device; 0 = none
  int scale_up_domain = 1;                // devices in one NVLink domain
  BytesPerSecond scale_out_bandwidth{0};  // NIC one way per device; 0 = none
  BytesPerSecond host_bandwidth{0};       // device ↔ host memory, one way
  Watts power_max{0};                     // TDP
  Watts power_idle{0};
  int compute_capability = 0;             // 90 = sm_90; 0 = not a CUDA device
  std::map<std::string, Source> sources;  // by field name, e.g. "peak.bf16", "memory"
  bool operator==(const Device&) const = default;
};

// assume: a device that is starved below this share of its dynamic power stops being useful.
inline constexpr double kLeastDynamicShare = 0.05;

// The lowest limit that the device still works under.
[[nodiscard]] inline Watts least_power_limit(const Device& device) {
  return device.power_idle + (device.power_max - device.power_idle) * kLeastDynamicShare;
}

struct Node {
  std::string name;            // "hgx-h100"
  std::string device;          // name in the catalogue
  int devices = 1;
  Watts power_max{0};          // nameplate of the whole node; 0 = not stated
  Watts power_idle{0};
  bool operator==(const Node&) const = default;
};

// Identical nodes. racks = ceil(nodes / nodes_per_rack): the last rack may be partial.
struct Pool {
  std::string name;
  Node node;
  std::int64_t nodes = 0;
  int nodes_per_rack = 0;
  int racks_per_array = 0;     // 0 = no arrays
  int racks_per_cooling_unit = 1;  // racks on one coolant loop
  int racks_per_hall = 0;      // 0 = not said
  DollarsPerSecond device_price{0};  // what having one device costs; 0 = not said
  std::optional<std::int64_t> spares;  // nodes held ready for a failing one; absent = all that no plan takes
  Source source;
  [[nodiscard]] std::int64_t devices() const { return nodes * node.devices; }
  bool operator==(const Pool&) const = default;
};

// Scale-out network: planes (rails) of leaf, spine and core switches.
struct Fabric {
  std::string kind = "none";            // "none", "rail-fat-tree", "ethernet-fat-tree", "shared-memory"
  int switch_ports = 0;                 // ports per switch at NIC rate
  int planes = 1;
  double leaf_oversubscription = 1.0;   // down : up at the leaf
  double spine_oversubscription = 1.0;
  double efficiency = 1.0;              // usable share of link rate (routing, congestion)
  Seconds hop_latency{0};
  Source source;
  // Nodes that one leaf serves: it carries one plane (rail) of as many nodes as it has ports down.
  [[nodiscard]] std::int64_t leaf_down_ports() const {
    const double o = leaf_oversubscription;
    return std::max<std::int64_t>(1, std::llround(switch_ports * o / (1.0 + o)));
  }
  bool operator==(const Fabric&) const = default;
};

// What checkpoints are written to and read from.
struct Storage {
  BytesPerSecond write_bandwidth{0};    // of the site, sustained; 0 = not said, then bytes cost no time
  BytesPerSecond read_bandwidth{0};
  BytesPerSecond node_bandwidth{0};     // most that one node reads or writes; 0 = no limit of its own
  Source source;
  bool operator==(const Storage&) const = default;
};

struct Power {
  Watts site_cap{0};                    // at the meter; 0 = no cap
  double pue = 1.0;
  Watts rack_cap{0};
  Watts device_cap{0};
  DollarsPerJoule energy_price{0};      // at the meter; 0 = nothing beside the devices
  Source source;
  bool operator==(const Power&) const = default;
};

// What one event takes out of service: the node of one device, or all nodes of a larger unit at once.
enum class FaultScope { kDevice, kNode, kRack, kCoolingUnit, kLeaf, kArray, kHall };

// One cause of fail-stop: it interrupts the job and takes nodes out until they are repaired.
struct FaultClass {
  std::string name;                     // "gpu", "hbm", "link", "host", "software", …
  std::string device;                   // only in pools of this device type; empty = in every pool
  FaultScope scope = FaultScope::kDevice;
  Hertz rate{0};                        // events per second and unit of the scope
  Seconds repair{0};                    // mean; 0 = no node leaves, the job restarts in place
  Source source;
  bool operator==(const FaultClass&) const = default;
};

// Fail-slow: for a while a node works, but slower.
struct FailSlowEpisode {
  std::string name;
  Hertz rate_per_node{0};
  Seconds duration{0};                  // median of a log-normal …
  double duration_sigma = 0.0;          // … and the sigma of its logarithm
  double compute_slowdown = 1.0;        // time of computation while it lasts, relative; >= 1
  double network_slowdown = 1.0;        // time of what passes the node's NICs
  Source source;
  bool operator==(const FailSlowEpisode&) const = default;
};

// What a synchronous job does when a node is lost and no spare is free.
enum class WithoutSpare {
  kWait,                                // stand still until a repair gives enough nodes
  kShrink,                              // go on with fewer replicas until then
};

struct Faults {
  std::vector<FaultClass> classes;
  std::vector<FailSlowEpisode> episodes;
  double rate_sigma = 0.0;              // log-normal sigma of one factor on all class rates: what is not known of them
  double speed_sigma = 0.0;             // log-normal sigma of the static speed factor per device
  double slow_share = 0.0;              // share of nodes that are slow …
  double slow_factor = 1.0;             // … and their speed relative to the others
  double thermal_share = 0.0;           // share of nodes that are throttled by heat …
  double thermal_factor = 1.0;          // … and their speed relative to the others
  double jitter_sigma = 0.0;            // log-normal sigma per step
  double evicted_share = 0.0;           // of the devices, the statically slowest, replaced by others of their kind
  Seconds detect{0};                    // from the failure until it is noticed and located
  Seconds restart{0};                   // new nodes assigned, processes and communicators started
  Seconds warm_up{0};                   // after reading the checkpoint, until steps have full speed
  WithoutSpare without_spare = WithoutSpare::kWait;
  std::int64_t repair_slots = 0;        // units repaired at the same time; 0 = no queue
  Source source;
  bool operator==(const Faults&) const = default;
};

struct Cluster {
  std::string name;
  std::vector<Pool> pools;
  Fabric fabric;
  Storage storage;
  Power power;
  Faults faults;
  [[nodiscard]] std::int64_t devices() const {
    std::int64_t n = 0;
    for (const Pool& p : pools) n += p.devices();
    return n;
  }
  bool operator==(const Cluster&) const = default;
};

}  // namespace lindos
