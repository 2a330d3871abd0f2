// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: the tenants of a workload ↔ TOML.
#pragma once

#include <filesystem>

#include "scenarios/toml_table.h"
#include "scenarios/toml_text.h"
#include "scenarios/workload.h"

namespace lindos {

// Of `table`, the workload's. REQUIRES: `serving` has its arrivals, its trace's format, its lengths.
void read_tenants(const TomlTable& table, const std::filesystem::path& base, ServingWorkload& serving);
void write_tenants(TomlText& out, const ServingWorkload& serving);

}  // namespace lindos
