// SPDX-License-Identifier: Apache-2.0
// Internal to scenarios/: a scenario file together with the files that it extends. A table that a
// file does not give is taken, whole, from the file named by its `extends` key.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/toml_table.h"

namespace lindos {

class ScenarioDocument {
 public:
  struct Section {
    TomlTable table;
    std::filesystem::path
        base;  // folder of the file that gives the table; relative paths start here
  };

  // Parses `text` and every file it extends. Throws Error{kInput}, also for a cycle of `extends`.
  ScenarioDocument(std::string_view text, const std::string& where,
                   const std::filesystem::path& base);

  [[nodiscard]] std::optional<Section> find(std::string_view table) const;
  [[nodiscard]] Section section(std::string_view table) const;  // missing: Error{kInput}
  [[nodiscard]] std::vector<TomlTable> devices() const;  // [[device]] tables, nearest file first
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::string text_or_empty(std::string_view key) const;

 private:
  struct File {
    toml::table root;
    std::string name;
    std::filesystem::path base;
  };
  [[nodiscard]] TomlTable root_of(const File& file) const { return {file.root, "", file.name}; }
  [[nodiscard]] const File* holder(std::string_view key) const;

  std::vector<std::unique_ptr<File>> files_;  // the file itself, then what it extends
};

}  // namespace lindos
