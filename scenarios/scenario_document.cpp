// SPDX-License-Identifier: Apache-2.0
#include "scenarios/scenario_document.h"

#include <algorithm>

#include "scenarios/error.h"
#include "scenarios/text_file.h"

namespace lindos {

ScenarioDocument::ScenarioDocument(std::string_view text, const std::string& where,
                                   const std::filesystem::path& base) {
  const auto identity = [](const std::filesystem::path& path) {
    std::error_code ec;
    const auto canonical = std::filesystem::weakly_canonical(path, ec);
    return ec ? path : canonical;
  };
  std::vector<std::filesystem::path> chain{
      identity(base / std::filesystem::path(where).filename())};
  files_.push_back(std::make_unique<File>(File{parse_toml(text, where), where, base}));
  while (true) {
    const File& last = *files_.back();
    const TomlTable root = root_of(last);
    root.expect_format("lindos-scenario");
    root.allow({"format", "version", "name", "description", "extends", "cluster", "fabric", "storage",
                "power", "faults", "model", "workload", "slo", "plan", "device", "sources"});
    if (!root.has("extends")) return;
    const std::filesystem::path next = identity(last.base / root.text("extends"));
    const auto seen = std::find(chain.begin(), chain.end(), next);
    if (seen != chain.end()) {
      std::string cycle;
      for (auto it = seen; it != chain.end(); ++it) cycle += it->filename().string() + " → ";
      root.fail("extends", "cycle: " + cycle + next.filename().string());
    }
    chain.push_back(next);
    const std::string content = read_text_file(next, root.where("extends"));
    files_.push_back(std::make_unique<File>(
        File{parse_toml(content, next.string()), next.string(), next.parent_path()}));
  }
}

const ScenarioDocument::File* ScenarioDocument::holder(std::string_view key) const {
  for (const auto& file : files_) {
    if (file->root.contains(key)) return file.get();
  }
  return nullptr;
}

std::optional<ScenarioDocument::Section> ScenarioDocument::find(std::string_view table) const {
  const File* file = holder(table);
  if (file == nullptr) return std::nullopt;
  return Section{root_of(*file).table(table), file->base};
}

ScenarioDocument::Section ScenarioDocument::section(std::string_view table) const {
  auto found = find(table);
  if (!found) root_of(*files_.front()).fail("", "missing table [" + std::string(table) + "]");
  return *std::move(found);
}

std::vector<TomlTable> ScenarioDocument::devices() const {
  const File* file = holder("device");
  if (file == nullptr) return {};
  return root_of(*file).tables_or_none("device");
}

std::string ScenarioDocument::text(std::string_view key) const {
  const File* file = holder(key);
  return root_of(file == nullptr ? *files_.front() : *file).text(key);
}

std::string ScenarioDocument::text_or_empty(std::string_view key) const {
  return holder(key) == nullptr ? std::string() : text(key);
}

}  // namespace lindos
