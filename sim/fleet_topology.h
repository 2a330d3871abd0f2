// SPDX-License-Identifier: Apache-2.0
// The whole fleet as a network, by counting only: which node hangs on which leaf group and pod, how
// many switches and cables each tier takes, which links lie between two nodes. No SimGrid, no
// allocation per node: a million devices cost as much as one. docs/platform.md holds the rules and
// their sources.
//
//   const FleetTopology fleet(scenario.cluster, scenario.devices);
//   for (LinkId id : fleet.path(0, 700)) use(fleet.capacity(id));
//
// NICs of a node are folded: a "NIC link" is all of the node's NICs, an up-link pool all cables of
// a leaf group over all rails and planes. Rates are one way, times the fabric's efficiency.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/hardware.h"
#include "scenarios/units.h"

namespace lindos::sim {

using LinkId = std::uint32_t;

// Whole units, and what the last, partial one holds.
struct Tally {
  std::int64_t whole = 0;
  std::int64_t rest_nodes = 0;  // nodes in the partial unit; 0 = there is none
  [[nodiscard]] std::int64_t count() const { return whole + (rest_nodes > 0 ? 1 : 0); }
  bool operator==(const Tally&) const = default;
};

struct SwitchCount {
  std::int64_t leaves = 0;
  std::int64_t spines = 0;
  std::int64_t cores = 0;
  std::int64_t node_leaf_cables = 0;
  std::int64_t leaf_spine_cables = 0;
  std::int64_t spine_core_cables = 0;
  bool operator==(const SwitchCount&) const = default;
};

// One pool of the cluster; its nodes, leaf groups and pods are numbered on from those of the pool
// before.
struct PoolTopology {
  std::string name;
  std::int64_t first_node = 0;
  std::int64_t nodes = 0;
  int devices_per_node = 1;
  BytesPerSecond nic{0};  // of one device, times efficiency; 0 = has none
  Tally racks;            // empty when the pool names none
  Tally arrays;
  std::int64_t nodes_per_rack = 0;  // 0 = not said
  Tally domains;                    // scale-up: one node, or the nodes of an NVL72 rack
  std::int64_t nodes_per_array = 0;
  std::int64_t nodes_per_domain = 1;
  // Leaf groups: equal parts of a block of nodes, which is a leaf group itself or an array that is
  // larger.
  std::int64_t nodes_per_block = 0;
  std::int64_t groups_per_block = 1;
  std::int64_t nodes_per_group = 0;   // the last one of a block may hold fewer
  std::int64_t leaves_per_group = 0;  // one per rail
  std::int64_t first_group = 0;
  std::int64_t groups = 0;
  std::int64_t first_pod = 0;  // pods: groups that share spines, where there is a core tier
  std::int64_t pods = 0;
  std::int64_t groups_per_pod = 0;
};

// Links in the order in which a message takes them; none between nodes of one scale-up domain.
struct FleetPath {
  std::array<LinkId, 6> links{};
  std::size_t count = 0;
  [[nodiscard]] const LinkId* begin() const { return links.data(); }
  [[nodiscard]] const LinkId* end() const { return links.data() + count; }
};

class FleetTopology {
 public:
  // Throws Error{kInfeasible} when three tiers of the fabric's switches cannot hold the NICs of a
  // plane, with the nearest switch that could. REQUIRES: every pool's device is in `devices`.
  FleetTopology(const Cluster& cluster, const std::map<std::string, Device>& devices);

  [[nodiscard]] std::int64_t nodes() const { return nodes_; }
  [[nodiscard]] std::int64_t groups() const { return groups_; }
  [[nodiscard]] std::int64_t pods() const { return pods_; }  // 0 without a core tier
  [[nodiscard]] const std::vector<PoolTopology>& pools() const { return pools_; }
  [[nodiscard]] const PoolTopology& pool_of(std::int64_t node) const;
  // Throws Error{kInput}.
  [[nodiscard]] const PoolTopology& pool_or_throw(const std::string& name) const;
  [[nodiscard]] SwitchCount count() const { return count_; }

  [[nodiscard]] std::int64_t group_of(std::int64_t node) const;
  // REQUIRES: pods() > 0.
  [[nodiscard]] std::int64_t pod_of_group(std::int64_t group) const;
  [[nodiscard]] bool same_domain(std::int64_t a, std::int64_t b) const;

  // Throws Error{kInfeasible}, naming the link, when there is no way or one without bandwidth.
  [[nodiscard]] FleetPath path(std::int64_t from, std::int64_t to) const;
  [[nodiscard]] std::size_t links() const;
  [[nodiscard]] BytesPerSecond capacity(LinkId link) const;
  // "nic-up of node 7 (pool h100)".
  [[nodiscard]] std::string name(LinkId link) const;
  // A pool of cables between tiers, as opposed to a node's own NICs.
  [[nodiscard]] bool is_shared(LinkId link) const { return link >= 2 * nodes_; }

 private:
  struct Ports {
    std::int64_t down = 0;
    std::int64_t up = 0;
  };
  FleetTopology() = default;
  // What keeps this fabric from being built, or nothing.
  [[nodiscard]] std::optional<std::string> build(const Cluster& cluster,
                                                 const std::map<std::string, Device>& devices);
  [[nodiscard]] static Ports split(int ports, double oversubscription);
  void lay_out(const Pool& pool, const Device& device);
  [[nodiscard]] std::optional<std::string> add_core();
  void count_switches();
  // Leaves of one plane: of the pool's leaf group, of the fleet.
  [[nodiscard]] std::int64_t plane_leaves(const PoolTopology& pool) const;
  [[nodiscard]] std::int64_t plane_leaves() const;
  [[nodiscard]] const PoolTopology& pool_of_group(std::int64_t group) const;

  Fabric fabric_;
  bool has_fabric_ = false;
  Ports leaf_;
  Ports spine_;
  std::vector<PoolTopology> pools_;
  std::vector<BytesPerSecond> pod_up_;  // [pod] towards the core
  std::int64_t nodes_ = 0;
  std::int64_t groups_ = 0;
  std::int64_t pods_ = 0;
  SwitchCount count_;
};

}  // namespace lindos::sim
