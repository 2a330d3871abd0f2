// SPDX-License-Identifier: Apache-2.0
// Faults ↔ TOML: fail-stop classes, fail-slow episodes, spread of speed, recovery.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "scenarios/fault_units.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/text_layout.h"

namespace lindos {
namespace {

std::string rate_key(FaultScope scope) { return "rate_per_" + std::string(name_of(scope)); }

// What a pool or fabric must say before units of this scope can be counted.
std::string missing_size(FaultScope scope, const Pool& pool) {
  if (scope == FaultScope::kLeaf)
    return "[fabric] has no switch_ports, so leaves cannot be counted";
  std::string key = "nodes_per_rack";
  if (pool.nodes_per_rack > 0)
    key = scope == FaultScope::kArray ? "racks_per_array" : "racks_per_hall";
  return "pool \"" + pool.name + "\" has no " + key +
         ", so units cannot be counted; give it, or limit " + "the class with device = \"…\"";
}

// The scope follows from the rate that is given: rate_per_rack counts racks.
void read_rate(const TomlTable& table, const Cluster& cluster, FaultClass& fault) {
  std::string given;
  for (const FaultScope scope : kFaultScopes) {
    const std::string key = rate_key(scope);
    if (!table.has(key)) continue;
    if (!given.empty()) {
      table.fail(key, "contradicts " + given + ": a class has one rate; make it two classes");
    }
    given = key;
    fault.scope = scope;
    fault.rate = table.quantity<Hertz>(key);
  }
  if (given.empty()) {
    std::string known;
    for (const FaultScope scope : kFaultScopes)
      known += (known.empty() ? "" : ", ") + rate_key(scope);
    table.fail("", "missing rate such as rate_per_device = \"1e-5 /h\"; known: " + known);
  }
  for (const Pool& pool : cluster.pools) {
    if (occurs_in(fault, pool) && nodes_per_unit(fault.scope, pool, cluster.fabric) == 0) {
      table.fail(given, missing_size(fault.scope, pool));
    }
  }
}

FaultClass read_fault_class(const TomlTable& table, const Cluster& cluster) {
  table.allow({"name", "device", "rate_per_device", "rate_per_node", "rate_per_rack",
               "rate_per_cooling_unit", "rate_per_leaf", "rate_per_array", "rate_per_hall",
               "repair", "source"});
  FaultClass fault;
  fault.name = table.text("name");
  if (table.has("device")) {
    fault.device = table.text("device");
    std::set<std::string> devices;
    for (const Pool& pool : cluster.pools) devices.insert(pool.node.device);
    if (!devices.contains(fault.device)) {
      table.fail_unknown("device", "device of this fleet", fault.device,
                         {devices.begin(), devices.end()});
    }
  }
  read_rate(table, cluster, fault);
  fault.repair = table.quantity<Seconds>("repair");
  fault.source = table.source();
  return fault;
}

// One name may stand for several device types, but never twice for the same device.
void check_overlap(const TomlTable& entry, const std::vector<FaultClass>& before,
                   const FaultClass& fault) {
  for (const FaultClass& other : before) {
    if (other.name != fault.name) continue;
    if (other.device == fault.device) {
      entry.fail("name", "second fault class named \"" + fault.name + '"' +
                             (fault.device.empty() ? "" : " for " + fault.device));
    }
    if (other.device.empty() || fault.device.empty()) {
      const std::string& device = other.device.empty() ? fault.device : other.device;
      entry.fail("name",
                 "class \"" + fault.name + "\" gives " + device +
                     " two rates: one of its own and one for every device; name a device in each");
    }
  }
}

// Nodes out of service on average, were there no limit: Σ rate × units × nodes × repair.
double mean_nodes_out(const Faults& faults, const Pool& pool, const Fabric& fabric) {
  double out = 0.0;
  for (const FaultClass& fault : faults.classes) {
    if (!occurs_in(fault, pool)) continue;
    const std::int64_t taken = std::min(pool.nodes, nodes_per_unit(fault.scope, pool, fabric));
    out += fault.rate.value() *
           static_cast<double>(units_of(fault.scope, pool, fabric, pool.nodes) * taken) *
           fault.repair.count();
  }
  return out;
}

void check_classes(const TomlTable& table, const Faults& faults, const Cluster& cluster) {
  if (faults.classes.empty()) return;
  bool any_repair = false;
  for (const FaultClass& fault : faults.classes) any_repair |= fault.repair > Seconds{0};
  for (const Pool& pool : cluster.pools) {
    if (!any_repair && pool.spares.value_or(0) > 0) {
      table.fail("class", "every repair is 0 s, so no node ever leaves, but pool \"" + pool.name +
                              "\" holds " + with_thousands(*pool.spares) +
                              " spares; give repair times or remove the spares");
    }
    const double out = mean_nodes_out(faults, pool, cluster.fabric);
    if (out >= static_cast<double>(pool.nodes)) {
      table.fail("class", "rates and repair times contradict: of the " +
                              with_thousands(pool.nodes) + " nodes of pool \"" + pool.name +
                              "\", " + number_text(out, 4) + " would be out of service on average");
    }
  }
}

FailSlowEpisode read_episode(const TomlTable& table) {
  table.allow({"name", "rate_per_node", "duration", "duration_sigma", "compute_slowdown",
               "network_slowdown", "source"});
  FailSlowEpisode episode;
  episode.name = table.text("name");
  episode.rate_per_node = table.quantity<Hertz>("rate_per_node");
  episode.duration = table.quantity<Seconds>("duration");
  if (episode.duration == Seconds{0}) table.fail("duration", "must be above zero");
  episode.duration_sigma = table.number_or("duration_sigma", 0.0, 0.0, 5.0);
  episode.compute_slowdown = table.number_or("compute_slowdown", 1.0, 1.0, 1000.0);
  episode.network_slowdown = table.number_or("network_slowdown", 1.0, 1.0, 1000.0);
  if (episode.compute_slowdown == 1.0 && episode.network_slowdown == 1.0) {
    table.fail("", "slows nothing; give compute_slowdown or network_slowdown above 1, such as 1.1");
  }
  episode.source = table.source();
  return episode;
}

void write_class(TomlText& out, const FaultClass& fault) {
  out.array_header("faults.class");
  out.text("name", fault.name);
  out.text_if_any("device", fault.device);
  out.quantity(rate_key(fault.scope), fault.rate);
  out.quantity("repair", fault.repair);
  out.source(fault.source);
}

void write_episode(TomlText& out, const FailSlowEpisode& episode) {
  out.array_header("faults.episode");
  out.text("name", episode.name);
  out.quantity("rate_per_node", episode.rate_per_node);
  out.quantity("duration", episode.duration);
  out.number("duration_sigma", episode.duration_sigma);
  out.number("compute_slowdown", episode.compute_slowdown);
  out.number("network_slowdown", episode.network_slowdown);
  out.source(episode.source);
}

}  // namespace

Faults read_faults(const TomlTable& table, const Cluster& cluster) {
  table.allow({"rate_sigma", "speed_sigma", "slow_share", "slow_factor", "thermal_share",
               "thermal_factor", "jitter_sigma", "evicted_share", "detect", "restart", "warm_up", "without_spare",
               "repair_slots", "class", "episode", "source"});
  Faults faults;
  faults.rate_sigma = table.number_or("rate_sigma", 0.0, 0.0, 3.0);
  faults.speed_sigma = table.number_or("speed_sigma", 0.0, 0.0, 2.0);
  faults.slow_share = table.number_or("slow_share", 0.0, 0.0, 1.0);
  faults.slow_factor = table.number_or("slow_factor", 1.0, 0.01, 1.0);
  faults.thermal_share = table.number_or("thermal_share", 0.0, 0.0, 1.0);
  faults.thermal_factor = table.number_or("thermal_factor", 1.0, 0.01, 1.0);
  faults.jitter_sigma = table.number_or("jitter_sigma", 0.0, 0.0, 2.0);
  faults.evicted_share = table.number_or("evicted_share", 0.0, 0.0, 0.5);
  faults.detect = table.quantity_or("detect", Seconds{0});
  faults.restart = table.quantity_or("restart", Seconds{0});
  faults.warm_up = table.quantity_or("warm_up", Seconds{0});
  if (table.has("without_spare") && table.choice("without_spare", {"wait", "shrink"}) == 1) {
    faults.without_spare = WithoutSpare::kShrink;
  }
  faults.repair_slots = table.integer_or("repair_slots", 0, 0, kMaxNodes);
  faults.source = table.source();
  for (const TomlTable& entry : table.tables_or_none("class")) {
    FaultClass fault = read_fault_class(entry, cluster);
    check_overlap(entry, faults.classes, fault);
    faults.classes.push_back(std::move(fault));
  }
  check_classes(table, faults, cluster);
  std::set<std::string> episodes;
  for (const TomlTable& entry : table.tables_or_none("episode")) {
    faults.episodes.push_back(read_episode(entry));
    if (!episodes.insert(faults.episodes.back().name).second) {
      entry.fail("name", "second fail-slow episode named \"" + faults.episodes.back().name + '"');
    }
  }
  return faults;
}

void write_faults(TomlText& out, const Faults& faults) {
  out.header("faults");
  out.number("rate_sigma", faults.rate_sigma);
  out.number("speed_sigma", faults.speed_sigma);
  out.number("slow_share", faults.slow_share);
  out.number("slow_factor", faults.slow_factor);
  out.number("thermal_share", faults.thermal_share);
  out.number("thermal_factor", faults.thermal_factor);
  out.number("jitter_sigma", faults.jitter_sigma);
  if (faults.evicted_share > 0.0) out.number("evicted_share", faults.evicted_share);
  out.quantity("detect", faults.detect);
  out.quantity("restart", faults.restart);
  out.quantity("warm_up", faults.warm_up);
  out.text("without_spare", faults.without_spare == WithoutSpare::kWait ? "wait" : "shrink");
  out.integer("repair_slots", faults.repair_slots);
  out.source(faults.source);
  for (const FaultClass& fault : faults.classes) write_class(out, fault);
  for (const FailSlowEpisode& episode : faults.episodes) write_episode(out, episode);
}

}  // namespace lindos
