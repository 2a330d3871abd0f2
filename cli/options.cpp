// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <cstdlib>

namespace lindos::cli {

void add_common(CLI::App& verb, CommonOptions& options, bool stores) {
  add_choice<Format>(verb, "--format", options.format, {{"table", Format::kTable}, {"json", Format::kJson}},
                     "table for people, json for programs (SI units)")
      ->default_str("table");
  add_choice<ProgressStyle>(verb, "--progress", options.progress,
                            {{"auto", ProgressStyle::kAuto},
                             {"bar", ProgressStyle::kBar},
                             {"json", ProgressStyle::kJson},
                             {"none", ProgressStyle::kNone}},
                            "how progress is shown on stderr")
      ->default_str("auto");
  verb.add_option("--catalogue", options.catalogue, "folder with devices/ and models/")->type_name("DIR");
  if (!stores) return;
  auto* db = verb.add_option("--db", options.db, "SQLite store for the results [" + default_db_path().string() + "]")
                 ->type_name("FILE");
  verb.add_flag("--no-db", options.no_db, "do not store the results")->excludes(db);
}

void add_device(CLI::App& verb, DeviceChoice& choice) {
  add_choice<DeviceChoice>(verb, "--device", choice,
                           {{"auto", DeviceChoice::kAuto}, {"cpu", DeviceChoice::kCpu}, {"cuda", DeviceChoice::kCuda}},
                           "auto: the GPU for scenarios of its kind, else the CPU; cuda: the first GPU, whatever its kind")
      ->default_str("auto");
}

std::filesystem::path default_db_path() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0') {
    return std::filesystem::path(data) / "lindos" / "lindos.db";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".local" / "share" / "lindos" / "lindos.db";
}

}  // namespace lindos::cli
