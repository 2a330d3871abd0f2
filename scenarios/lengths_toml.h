// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: token counts of a workload and of its tenants ↔ TOML.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

#include "scenarios/toml_table.h"
#include "scenarios/toml_text.h"
#include "scenarios/workload.h"

namespace lindos {

// A path in the scenario; relative ones lie beside it, in `base`.
[[nodiscard]] std::filesystem::path path_of(const TomlTable& table, std::string_view key,
                                            const std::filesystem::path& base);

// `key = 128` (constant), `key = [64, 128]` (uniform) or a table: { median = 512, sigma = 1.1, low = 1, high = 8192 },
// { quantiles = [1, 300, 8192] } or { trace = "…", format = "…" }.
[[nodiscard]] LengthRange read_length(const TomlTable& table, std::string_view key, const std::filesystem::path& base);
void write_length(TomlText& out, std::string_view key, const LengthRange& range);

// The keys shared_prefix and prefix_groups of prompts of at least `shortest` tokens.
void read_shared_prefix(const TomlTable& table, std::int64_t shortest, std::int64_t& shared, std::int64_t& groups);

}  // namespace lindos
