// SPDX-License-Identifier: Apache-2.0
// Options that every verb shares, and what follows from them.
#pragma once

#include <filesystem>
#include <string>

#include <CLI/CLI.hpp>

namespace lindos::cli {

enum class Format { kTable, kJson };
enum class ProgressStyle { kAuto, kBar, kJson, kNone };

struct CommonOptions {
  Format format = Format::kTable;
  ProgressStyle progress = ProgressStyle::kAuto;
  std::filesystem::path db;            // empty: default_db_path()
  bool no_db = false;
  std::filesystem::path catalogue;     // empty: data::default_catalogue_dir()
};

// Adds --format, --progress and --catalogue; with `stores` also --db and --no-db.
void add_common(CLI::App& verb, CommonOptions& options, bool stores);

// $XDG_DATA_HOME/lindos/lindos.db or ~/.local/share/lindos/lindos.db.
[[nodiscard]] std::filesystem::path default_db_path();

}  // namespace lindos::cli
