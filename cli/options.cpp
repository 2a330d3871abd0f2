// SPDX-License-Identifier: Apache-2.0
#include "cli/options.h"

#include <cstdlib>
#include <map>

namespace lindos::cli {

void add_common(CLI::App& verb, CommonOptions& options, bool stores) {
  static const std::map<std::string, Format> formats{{"table", Format::kTable}, {"json", Format::kJson}};
  static const std::map<std::string, ProgressStyle> styles{{"auto", ProgressStyle::kAuto},
                                                           {"bar", ProgressStyle::kBar},
                                                           {"json", ProgressStyle::kJson},
                                                           {"none", ProgressStyle::kNone}};
  verb.add_option("--format", options.format, "table for people, json for programs (SI units)")
      ->transform(CLI::CheckedTransformer(formats))
      ->type_name("table|json")
      ->default_str("table");
  verb.add_option("--progress", options.progress, "how progress is shown on stderr")
      ->transform(CLI::CheckedTransformer(styles))
      ->type_name("auto|bar|json|none")
      ->default_str("auto");
  verb.add_option("--catalogue", options.catalogue, "folder with devices/ and models/")->type_name("DIR");
  if (!stores) return;
  auto* db = verb.add_option("--db", options.db, "SQLite store for the results [" + default_db_path().string() + "]")
                 ->type_name("FILE");
  verb.add_flag("--no-db", options.no_db, "do not store the results")->excludes(db);
}

std::filesystem::path default_db_path() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0') {
    return std::filesystem::path(data) / "lindos" / "lindos.db";
  }
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home != nullptr ? home : ".") / ".local" / "share" / "lindos" / "lindos.db";
}

}  // namespace lindos::cli
