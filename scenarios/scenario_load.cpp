// SPDX-License-Identifier: Apache-2.0
// TOML → Scenario. Every table is read by its own reader; what concerns several tables is checked
// here.
#include <string>
#include <vector>

#include "scenarios/error.h"
#include "scenarios/plan_pools.h"
#include "scenarios/scenario_document.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/text_file.h"

namespace lindos {
namespace {

using Devices = std::map<std::string, Device>;

Devices devices_at_hand(const ScenarioDocument& document, const Catalogue& catalogue) {
  Devices devices;
  for (const TomlTable& table : document.devices()) {
    Device device = read_device(table);
    const std::string name = device.name;
    if (!devices.emplace(name, std::move(device)).second) {
      table.fail("name", "second device named \"" + name + '"');
    }
  }
  // A device of the scenario hides one of the same name in the catalogue.
  devices.insert(catalogue.devices.begin(), catalogue.devices.end());
  return devices;
}

// The devices that the pools name.
Devices resolve_devices(const TomlTable& cluster_table, const Cluster& cluster,
                        const Devices& at_hand) {
  std::vector<std::string> names;
  for (const auto& [name, device] : at_hand) names.push_back(name);
  const std::vector<TomlTable> pools = cluster_table.tables_or_none("pool");
  Devices resolved;
  for (std::size_t i = 0; i < cluster.pools.size(); ++i) {
    const std::string& name = cluster.pools[i].node.device;
    const auto found = at_hand.find(name);
    if (found == at_hand.end()) pools[i].fail_unknown("device", "device", name, names);
    resolved.emplace(name, found->second);
  }
  return resolved;
}

// Follows "cluster.pool.h100.nodes" through the document; elements of an array are addressed by
// their name.
bool names_a_value(const TomlTable& table, std::string_view rest) {
  const std::size_t dot = rest.find('.');
  const std::string_view key = rest.substr(0, dot);
  if (dot == std::string_view::npos) return table.has(key);
  rest.remove_prefix(dot + 1);
  if (table.is_table(key)) return names_a_value(table.table(key), rest);
  if (!table.is_array(key)) return false;
  const std::size_t end = rest.find('.');
  if (end == std::string_view::npos) return false;
  for (const TomlTable& element : table.tables_or_none(key)) {
    if (element.text_or("name", "") == rest.substr(0, end)) {
      return names_a_value(element, rest.substr(end + 1));
    }
  }
  return false;
}

std::map<std::string, Source> read_sources(const ScenarioDocument& document) {
  std::map<std::string, Source> sources;
  const auto section = document.find("sources");
  if (!section) return sources;
  for (const std::string& path : section->table.keys()) {
    const std::string root = path.substr(0, path.find('.'));
    const bool is_fleet = root == "cluster" || root == "fabric" || root == "storage" ||
                          root == "power" || root == "faults";
    const auto target = is_fleet ? document.find(root) : std::nullopt;
    if (!target || path.size() <= root.size() ||
        !names_a_value(target->table, std::string_view(path).substr(root.size() + 1))) {
      section->table.fail(path,
                          "names no fleet value of this scenario; expected a quoted path such as "
                          "\"cluster.pool.h100.nodes\"");
    }
    sources[path] = section->table.source_at(path);
  }
  return sources;
}

// default_plan does not know the file; its complaints get the file's name here.
Plan plan_by_default(const Scenario& scenario, const std::string& where) {
  try {
    return default_plan(scenario);
  } catch (const Error& e) {
    if (!e.where().empty()) throw;
    throw Error(e.kind(), where,
                std::string("no [plan] is given and no default was found: ") + e.what());
  }
}

}  // namespace

Scenario parse_scenario(std::string_view text, const std::string& where,
                        const std::filesystem::path& base, const Catalogue& catalogue, const PlanFile* instead) {
  const ScenarioDocument document(text, where, base);
  Scenario s;
  s.name = document.text("name");
  s.description = document.text_or_empty("description");

  const auto cluster = document.section("cluster");
  s.cluster = read_cluster(cluster.table);
  if (const auto fabric = document.find("fabric")) s.cluster.fabric = read_fabric(fabric->table);
  if (const auto storage = document.find("storage")) {
    s.cluster.storage = read_storage(storage->table);
  }
  const auto power = document.find("power");
  if (power) s.cluster.power = read_power(power->table);
  check_fabric(cluster.table, s.cluster);
  s.devices = resolve_devices(cluster.table, s.cluster, devices_at_hand(document, catalogue));
  if (power) check_power(power->table, s);
  if (const auto faults = document.find("faults")) {
    s.cluster.faults = read_faults(faults->table, s.cluster);
  }

  const auto model = document.section("model");
  s.model = read_model(model.table, model.base, catalogue);
  const auto workload = document.section("workload");
  s.workload = read_workload(workload.table, workload.base, s.model);
  check_context(workload.table, s.workload, s.model);
  if (const auto slo = document.find("slo")) s.slo = read_slo(slo->table);
  s.sources = read_sources(document);

  if (instead != nullptr) {
    s.plan = instead->plan;
    s.plan_given = true;
    check_plan(s.plan, s, instead->where);
  } else if (const auto plan = document.find("plan")) {
    s.plan = read_plan(plan->table, plan->base, s);
    s.plan_given = true;
  } else {
    s.plan = plan_by_default(s, where);
  }
  check_spares(cluster.table, s);
  check_links(cluster.table, s, catalogue);
  return s;
}

Scenario load_scenario(const std::filesystem::path& path, const Catalogue& catalogue, const PlanFile* instead) {
  return parse_scenario(read_text_file(path, ""), path.string(), path.parent_path(), catalogue, instead);
}

}  // namespace lindos
