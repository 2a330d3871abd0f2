// SPDX-License-Identifier: Apache-2.0
// The fleet: devices in nodes, nodes in racks and arrays, pools of identical nodes, fabric, power, faults.
// Pool is the unit of heterogeneity. Counts need not tile: partial racks and arrays are kept.
// Plain values; SI units; datasheet figures are dense, one way, per device unless the name says otherwise.
#pragma once

#include <cstdint>
#include <map>
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
  bool operator==(const Fabric&) const = default;
};

struct Power {
  Watts site_cap{0};                    // at the meter; 0 = no cap
  double pue = 1.0;
  Watts rack_cap{0};
  Watts device_cap{0};
  Source source;
  bool operator==(const Power&) const = default;
};

struct FaultClass {
  std::string name;                     // "gpu", "hbm", "link", "host", "software", …
  Hertz rate_per_device{0};             // events per device and second
  Seconds repair{0};
  Source source;
  bool operator==(const FaultClass&) const = default;
};

struct Faults {
  std::vector<FaultClass> classes;
  double speed_sigma = 0.0;             // log-normal sigma of the static speed factor per device
  double slow_share = 0.0;              // share of nodes that are slow …
  double slow_factor = 1.0;             // … and their speed relative to the others
  double jitter_sigma = 0.0;            // log-normal sigma per step
  Seconds detect{0};
  Seconds restart{0};
  Source source;
  bool operator==(const Faults&) const = default;
};

struct Cluster {
  std::string name;
  std::vector<Pool> pools;
  Fabric fabric;
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
