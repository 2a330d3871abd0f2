// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_topology.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scenarios/error.h"

namespace lindos::sim {

namespace {

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

Tally tally(std::int64_t nodes, std::int64_t per_unit) {
  return per_unit > 0 ? Tally{nodes / per_unit, nodes % per_unit} : Tally{};
}

// The entry of `pools` whose range, given by first and size, holds `index`.
template <class First>
const PoolTopology& holder(const std::vector<PoolTopology>& pools, std::int64_t index,
                           First first) {
  auto after =
      std::upper_bound(pools.begin(), pools.end(), index,
                       [&](std::int64_t i, const PoolTopology& p) { return i < first(p); });
  LINDOS_ASSERT(after != pools.begin(), "numbers start at 0");
  return *--after;
}

}  // namespace

FleetTopology::Ports FleetTopology::split(int ports, double oversubscription) {
  const auto down = std::clamp<std::int64_t>(
      std::llround(ports * oversubscription / (1.0 + oversubscription)), 1, ports - 1);
  return {down, ports - down};
}

FleetTopology::FleetTopology(const Cluster& cluster, const std::map<std::string, Device>& devices) {
  const std::optional<std::string> problem = build(cluster, devices);
  if (!problem) return;
  Cluster larger = cluster;
  std::optional<std::string> still;
  do {
    larger.fabric.switch_ports *= 2;
    still = FleetTopology().build(larger, devices);
  } while (still);
  throw Error(
      ErrorKind::kInfeasible, "fabric",
      *problem + "; nearest is switch_ports = " + std::to_string(larger.fabric.switch_ports));
}

std::optional<std::string> FleetTopology::build(const Cluster& cluster,
                                                const std::map<std::string, Device>& devices) {
  fabric_ = cluster.fabric;
  has_fabric_ = fabric_.kind.ends_with("fat-tree");
  if (has_fabric_) {
    if (fabric_.switch_ports < 2) {
      throw Error(ErrorKind::kInput, "fabric.switch_ports",
                  "a " + fabric_.kind + " needs switches of 2 ports or more, such as 64");
    }
    leaf_ = split(fabric_.switch_ports, fabric_.leaf_oversubscription);
    spine_ = split(fabric_.switch_ports, fabric_.spine_oversubscription);
  }
  for (const Pool& pool : cluster.pools) lay_out(pool, devices.at(pool.node.device));
  if (!has_fabric_) return std::nullopt;
  // Two tiers as long as every spine has a port for every leaf of its plane.
  if (plane_leaves() > fabric_.switch_ports) {
    if (std::optional<std::string> problem = add_core()) return problem;
  }
  count_switches();
  return std::nullopt;
}

// Racks, arrays and leaf groups of the next pool.
void FleetTopology::lay_out(const Pool& pool, const Device& device) {
  PoolTopology p;
  p.name = pool.name;
  p.first_node = nodes_;
  p.nodes = pool.nodes;
  p.devices_per_node = pool.node.devices;
  p.nic = device.scale_out_bandwidth * fabric_.efficiency;
  const std::int64_t rack = pool.nodes_per_rack;
  const std::int64_t array = rack * pool.racks_per_array;
  p.nodes_per_rack = rack;
  p.nodes_per_array = array;
  p.racks = tally(p.nodes, rack);
  p.arrays = tally(p.nodes, array);
  if (device.scale_up_bandwidth.value() > 0.0)
    p.nodes_per_domain = std::max(1, device.scale_up_domain / p.devices_per_node);
  p.domains = tally(p.nodes, p.nodes_per_domain);
  // NIC i of the pool goes to plane i mod planes. Rail-optimised, each rail of a plane has a leaf
  // of its own; otherwise a node's NICs of one plane share a leaf.
  p.leaves_per_group = fabric_.kind == "rail-fat-tree"
                           ? std::lcm(p.devices_per_node, fabric_.planes)
                           : std::int64_t{fabric_.planes};
  const std::int64_t reach =
      has_fabric_ ? std::max<std::int64_t>(1, p.leaves_per_group * leaf_.down / p.devices_per_node)
                  : p.nodes;
  // Leaf groups hold whole racks and whole arrays, so that cables stay short and a rack's NVLink
  // domain below one group; an array larger than a leaf group is cut into equal parts.
  const std::int64_t unit = rack > 0 && rack <= reach ? rack : 1;
  p.nodes_per_group = reach / unit * unit;
  if (array > 0 && array <= reach) p.nodes_per_group = reach / array * array;
  p.nodes_per_block = p.nodes_per_group;
  if (array > reach) {
    p.nodes_per_block = array;
    p.groups_per_block = ceil_div(array, p.nodes_per_group);
    p.nodes_per_group = ceil_div(array / unit, p.groups_per_block) * unit;
  }
  p.first_group = groups_;
  p.groups = p.nodes / p.nodes_per_block * p.groups_per_block +
             ceil_div(p.nodes % p.nodes_per_block, p.nodes_per_group);
  nodes_ += p.nodes;
  groups_ += p.groups;
  pools_.push_back(p);
}

std::int64_t FleetTopology::plane_leaves(const PoolTopology& pool) const {
  return pool.leaves_per_group / fabric_.planes;
}

std::int64_t FleetTopology::plane_leaves() const {
  std::int64_t sum = 0;
  for (const PoolTopology& p : pools_) sum += p.groups * plane_leaves(p);
  return sum;
}

// Pods of as many leaf groups as a spine has ports down, and as many spines as their leaves have
// cables up.
std::optional<std::string> FleetTopology::add_core() {
  for (PoolTopology& p : pools_) {
    const std::int64_t own = plane_leaves(p);
    p.groups_per_pod = spine_.down / own;
    if (p.groups_per_pod == 0) {
      return "the " + std::to_string(own) + " leaves of one leaf group of pool \"" + p.name +
             "\" need spines with as many ports down, and " + std::to_string(fabric_.switch_ports) +
             "-port switches have " + std::to_string(spine_.down);
    }
    p.first_pod = pods_;
    p.pods = ceil_div(p.groups, p.groups_per_pod);
    pods_ += p.pods;
    for (std::int64_t pod = 0; pod < p.pods; ++pod) {
      const std::int64_t leaves =
          std::min(p.groups_per_pod, p.groups - pod * p.groups_per_pod) * own;
      const std::int64_t spines = fabric_.planes * ceil_div(leaves * leaf_.up, spine_.down);
      count_.spines += spines;
      pod_up_.push_back(p.nic * static_cast<double>(spines * spine_.up));
    }
  }
  // A core has one port for each pod.
  if (pods_ <= fabric_.switch_ports) return std::nullopt;
  return "the core of three tiers of " + std::to_string(fabric_.switch_ports) +
         "-port switches joins " + std::to_string(fabric_.switch_ports) + " pods, and " +
         std::to_string(nodes_) + " nodes on " + std::to_string(fabric_.planes) + " planes make " +
         std::to_string(pods_);
}

void FleetTopology::count_switches() {
  for (const PoolTopology& p : pools_) {
    count_.leaves += p.groups * p.leaves_per_group;
    count_.node_leaf_cables += p.nodes * p.devices_per_node;
  }
  // One leaf per plane needs nothing above it. Leaves are cabled in full, partial groups too.
  if (plane_leaves() < 2) return;
  count_.leaf_spine_cables = count_.leaves * leaf_.up;
  if (pods_ == 0) {
    count_.spines = fabric_.planes * ceil_div(plane_leaves() * leaf_.up, fabric_.switch_ports);
    return;
  }
  count_.spine_core_cables = count_.spines * spine_.up;
  count_.cores =
      fabric_.planes * ceil_div(count_.spine_core_cables / fabric_.planes, fabric_.switch_ports);
}

const PoolTopology& FleetTopology::pool_of(std::int64_t node) const {
  return holder(pools_, node, [](const PoolTopology& p) { return p.first_node; });
}

const PoolTopology& FleetTopology::pool_of_group(std::int64_t group) const {
  return holder(pools_, group, [](const PoolTopology& p) { return p.first_group; });
}

const PoolTopology& FleetTopology::pool_or_throw(const std::string& name) const {
  for (const PoolTopology& p : pools_) {
    if (p.name == name) return p;
  }
  std::string known;
  for (const PoolTopology& p : pools_) known += (known.empty() ? "" : ", ") + p.name;
  throw Error(ErrorKind::kInput, "plan",
              "the plan names pool \"" + name + "\"; the cluster has " + known);
}

std::int64_t FleetTopology::group_of(std::int64_t node) const {
  const PoolTopology& p = pool_of(node);
  const std::int64_t local = node - p.first_node;
  return p.first_group + local / p.nodes_per_block * p.groups_per_block +
         local % p.nodes_per_block / p.nodes_per_group;
}

std::int64_t FleetTopology::pod_of_group(std::int64_t group) const {
  const PoolTopology& p = pool_of_group(group);
  return p.first_pod + (group - p.first_group) / p.groups_per_pod;
}

bool FleetTopology::same_domain(std::int64_t a, std::int64_t b) const {
  if (a == b) return true;
  const PoolTopology& p = pool_of(a);
  const std::int64_t local = b - p.first_node;
  return local >= 0 && local < p.nodes &&
         (a - p.first_node) / p.nodes_per_domain == local / p.nodes_per_domain;
}

// Link ids: NICs up, NICs down, leaf groups up, down, pods up, down.
std::size_t FleetTopology::links() const {
  return static_cast<std::size_t>(2 * (nodes_ + groups_ + pods_));
}

FleetPath FleetTopology::path(std::int64_t from, std::int64_t to) const {
  FleetPath path;
  if (same_domain(from, to)) return path;
  const auto pass = [&](std::int64_t link) {
    path.links[path.count++] = static_cast<LinkId>(link);
  };
  const std::int64_t group_from = group_of(from);
  const std::int64_t group_to = group_of(to);
  const std::int64_t leaf_links = 2 * nodes_;
  pass(from);
  if (group_from != group_to) {
    const std::int64_t pod_from = pods_ > 0 ? pod_of_group(group_from) : 0;
    const std::int64_t pod_to = pods_ > 0 ? pod_of_group(group_to) : 0;
    pass(leaf_links + group_from);
    if (pod_from != pod_to) {
      pass(leaf_links + 2 * groups_ + pod_from);
      pass(leaf_links + 2 * groups_ + pods_ + pod_to);
    }
    pass(leaf_links + groups_ + group_to);
  }
  pass(nodes_ + to);
  const auto no_way = [&](const std::string& why) {
    return Error(
        ErrorKind::kInfeasible, "platform",
        "no way from node " + std::to_string(from) + " to node " + std::to_string(to) + ": " + why);
  };
  if (!has_fabric_)
    throw no_way("the fabric is of kind \"" + fabric_.kind +
                 "\" and they share no scale-up domain");
  // All other links are as wide as NICs make them.
  for (const LinkId nic : {path.links[0], path.links[path.count - 1]}) {
    if (capacity(nic).value() <= 0.0)
      throw no_way(name(nic) + " has no bandwidth; state the device's scale_out_bandwidth");
  }
  return path;
}

BytesPerSecond FleetTopology::capacity(LinkId link) const {
  std::int64_t index = link;
  if (index < 2 * nodes_) {
    const PoolTopology& p = pool_of(index % nodes_);
    return p.nic * p.devices_per_node;
  }
  index -= 2 * nodes_;
  if (index < 2 * groups_) {
    const PoolTopology& p = pool_of_group(index % groups_);
    return p.nic * static_cast<double>(p.leaves_per_group * leaf_.up);
  }
  return pod_up_[static_cast<std::size_t>((index - 2 * groups_) % pods_)];
}

std::string FleetTopology::name(LinkId link) const {
  std::int64_t index = link;
  const auto of = [](const char* tier, bool up, const char* what, std::int64_t i,
                     const PoolTopology& p) {
    return std::string(tier) + (up ? "-up" : "-down") + " of " + what + " " + std::to_string(i) +
           " (pool " + p.name + ")";
  };
  if (index < 2 * nodes_)
    return of("nic", index < nodes_, "node", index % nodes_, pool_of(index % nodes_));
  index -= 2 * nodes_;
  if (index < 2 * groups_)
    return of("leaf", index < groups_, "leaf group", index % groups_,
              pool_of_group(index % groups_));
  index -= 2 * groups_;
  return of("spine", index < pods_, "pod", index % pods_,
            holder(
                pools_, index % pods_, [](const PoolTopology& p) { return p.first_pod; }));
}

}  // namespace lindos::sim
