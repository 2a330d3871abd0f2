// SPDX-License-Identifier: Apache-2.0
// Options that every verb shares, and what follows from them.
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/place.h"

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

// An option whose value is one of `choices`; any other word is refused with the list of them.
template <class Value>
CLI::Option* add_choice(CLI::App& verb, const std::string& name, Value& value,
                        const std::vector<std::pair<std::string, Value>>& choices, const std::string& help) {
  std::string names;
  for (const auto& [word, meaning] : choices) names += (names.empty() ? "" : "|") + word;
  const auto choose = [&value, choices, name, names](const std::string& word) {
    for (const auto& [choice, meaning] : choices) {
      if (choice != word) continue;
      value = meaning;
      return;
    }
    throw CLI::ValidationError(name, "expected " + names + ", saw \"" + word + "\"");
  };
  return verb.add_option_function<std::string>(name, choose, help)->type_name(names);
}

// --device auto|cpu|cuda.
void add_device(CLI::App& verb, DeviceChoice& choice);

// $XDG_DATA_HOME/lindos/lindos.db or ~/.local/share/lindos/lindos.db.
[[nodiscard]] std::filesystem::path default_db_path();

}  // namespace lindos::cli
