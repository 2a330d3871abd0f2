// SPDX-License-Identifier: Apache-2.0
// A Scenario is what the user writes: cluster, model, workload, promises, faults and, optionally, a plan.
// Loaded from TOML (format "lindos-scenario", version 1; docs/formats.md). Every complaint names
// file:line:column, what was expected and the nearest valid spelling.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "scenarios/hardware.h"
#include "scenarios/model.h"
#include "scenarios/plan.h"
#include "scenarios/workload.h"

namespace lindos {

// Named devices and models; data::load_catalogue fills it from data/catalogue/.
struct Catalogue {
  std::map<std::string, Device> devices;
  std::map<std::string, Model> models;
  std::string date;                // newest date of an entry
};

struct Scenario {
  std::string name;
  std::string description;
  Cluster cluster;
  std::map<std::string, Device> devices;  // those the pools name, resolved from the catalogue
  Model model;
  Workload workload;
  Slo slo;
  Plan plan;                       // given in the file, or the default plan (default_plan)
  bool plan_given = false;
  std::map<std::string, Source> sources;  // fleet facts by key path
  bool operator==(const Scenario&) const = default;
};

// A plan from elsewhere that takes the place of the scenario's own, which is then not even looked at.
struct PlanFile {
  Plan plan;
  std::string where;               // for complaints
};

// Throws Error{kInput}. Model and config paths are relative to the scenario's folder.
[[nodiscard]] Scenario load_scenario(const std::filesystem::path& path, const Catalogue& catalogue,
                                     const PlanFile* instead = nullptr);
// The parser proper: bytes in, value or Error out. `base` resolves relative paths; `where` names the file.
[[nodiscard]] Scenario parse_scenario(std::string_view text, const std::string& where,
                                      const std::filesystem::path& base, const Catalogue& catalogue,
                                      const PlanFile* instead = nullptr);
// Catalogue entries (data/catalogue/devices/*.toml, models/*.toml).
[[nodiscard]] Device parse_device(std::string_view text, const std::string& where);
[[nodiscard]] Model parse_model_entry(std::string_view text, const std::string& where);

// Canonical TOML; load(save(x)) == x.
[[nodiscard]] std::string to_toml(const Scenario& scenario);
// The plan used when the file gives none: one replica per model copy on the smallest device group that fits.
[[nodiscard]] Plan default_plan(const Scenario& scenario);
// Human-readable summary for `lindos show`.
[[nodiscard]] std::string show(const Scenario& scenario);

// 128-bit xxHash of the canonical form, hex; stable under key order, white space, comments, unit spelling.
[[nodiscard]] std::string digest(const Scenario& scenario);
[[nodiscard]] std::string digest(const Plan& plan);
[[nodiscard]] std::string digest_of_text(std::string_view canonical);

}  // namespace lindos
