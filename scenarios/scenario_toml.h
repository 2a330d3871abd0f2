// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: the parts of the scenario file, one reader and one writer per noun.
// Readers throw Error{kInput} with file:line:column and the key path; writers emit the canonical
// form.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "scenarios/scenario.h"
#include "scenarios/toml_table.h"
#include "scenarios/toml_text.h"

namespace lindos {

// Largest accepted counts: beyond any fleet, small enough that products of two never overflow.
inline constexpr std::int64_t kMaxNodes = 100'000'000;
inline constexpr std::int64_t kMaxDevicesPerNode = 1024;
inline constexpr std::int64_t kMaxTokens = 1'000'000'000;

// A catalogue entry or a [[device]] table of a scenario.
[[nodiscard]] Device read_device(const TomlTable& table);
[[nodiscard]] Cluster read_cluster(const TomlTable& table);
[[nodiscard]] Fabric read_fabric(const TomlTable& table);
[[nodiscard]] Power read_power(const TomlTable& table);
[[nodiscard]] Storage read_storage(const TomlTable& table);
// `cluster` holds the pools and the fabric.
[[nodiscard]] Faults read_faults(const TomlTable& table, const Cluster& cluster);
[[nodiscard]] CheckpointPolicy read_checkpoint(const TomlTable& table);
// `base` resolves a relative path to a trace, whose rows must fit the model's context.
[[nodiscard]] Workload read_workload(const TomlTable& table, const std::filesystem::path& base, const Model& model);
[[nodiscard]] Slo read_slo(const TomlTable& table);
// `base` resolves a relative path to a config.json.
[[nodiscard]] Model read_model(const TomlTable& table, const std::filesystem::path& base,
                               const Catalogue& catalogue);
// `scenario` holds everything but the plan.
[[nodiscard]] Plan read_plan(const TomlTable& table, const std::filesystem::path& base,
                             const Scenario& scenario);
// Serving lengths must fit the model's context. REQUIRES: `table` is the workload's.
void check_context(const TomlTable& table, const Workload& workload, const Model& model);
// What concerns several tables of the fleet. REQUIRES: `table` is the one named.
void check_fabric(const TomlTable& cluster_table, const Cluster& cluster);
void check_power(const TomlTable& power_table, const Scenario& scenario);
void check_spares(const TomlTable& cluster_table, const Scenario& scenario);
// A training job that no one node holds needs a scale-out link on every device kind that it uses.
void check_links(const TomlTable& cluster_table, const Scenario& scenario, const Catalogue& catalogue);

void write_device(TomlText& out, const Device& device);
void write_cluster(TomlText& out, const Cluster& cluster);
void write_faults(TomlText& out, const Faults& faults);
void write_checkpoint(TomlText& out, const CheckpointPolicy& checkpoint);
void write_workload(TomlText& out, const Workload& workload, const Slo& slo);
void write_model(TomlText& out, const Model& model);

}  // namespace lindos
