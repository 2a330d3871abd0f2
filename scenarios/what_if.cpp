// SPDX-License-Identifier: Apache-2.0
#include "scenarios/what_if.h"

#include <cstddef>
#include <sstream>

#include <toml++/toml.h>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/toml_table.h"

namespace lindos {

namespace {

std::vector<std::string> split(std::string_view text, char at) {
  std::vector<std::string> out(1);
  int depth = 0;
  for (const char c : text) {
    if (c == '[') ++depth;
    if (c == ']') --depth;
    if (c == at && depth == 0) {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

[[noreturn]] void refuse(const Setting& setting, const std::string& part, const std::vector<std::string>& known) {
  throw Error(ErrorKind::kUsage, "--what-if",
              setting.key + ": the scenario has no table \"" + part + "\"" + did_you_mean(part, known));
}

// The element of an array of tables by its name.
toml::table* element(toml::array& array, const std::string& name, std::vector<std::string>& known) {
  for (toml::node& node : array) {
    toml::table* table = node.as_table();
    if (table == nullptr) continue;
    const auto own = (*table)["name"].value<std::string>();
    if (own) known.push_back(*own);
    if (own == name) return table;
  }
  return nullptr;
}

void set(toml::table& root, const Setting& setting) {
  const std::vector<std::string> path = split(setting.key, '.');
  toml::table* table = &root;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    std::vector<std::string> known;
    for (const auto& [key, node] : *table) {
      if (node.is_table() || node.is_array_of_tables()) known.emplace_back(key.str());
    }
    toml::node* next = table->get(path[i]);
    if (next == nullptr || (!next->is_table() && !next->is_array_of_tables())) refuse(setting, path[i], known);
    if (toml::array* array = next->as_array()) {
      std::vector<std::string> names;
      if (i + 2 >= path.size()) refuse(setting, path[i], known);
      table = element(*array, path[++i], names);
      if (table == nullptr) refuse(setting, path[i], names);
    } else {
      table = next->as_table();
    }
  }
  // A bare word or a quantity is no TOML value: it stands as a text.
  toml::table value;
  try {
    value = toml::parse("value = " + setting.value);
  } catch (const toml::parse_error&) {
    value.insert("value", setting.value);
  }
  table->insert_or_assign(path.back(), std::move(*value.get("value")));
}

}  // namespace

std::vector<Setting> parse_settings(std::string_view text, const std::string& option) {
  const std::size_t equals = text.find('=');
  const std::string expected = "expected key=value,value,…, such as power.site_cap=250 MW,300 MW; saw \"";
  if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size())
    throw Error(ErrorKind::kUsage, option, expected + std::string(text) + "\"");
  std::vector<Setting> out;
  for (const std::string& value : split(text.substr(equals + 1), ',')) {
    if (value.empty()) throw Error(ErrorKind::kUsage, option, expected + std::string(text) + "\"");
    out.push_back({std::string(text.substr(0, equals)), value});
  }
  return out;
}

std::string with_settings(const std::string& canonical, const std::vector<Setting>& settings) {
  toml::table root = parse_toml(canonical, "scenario");
  for (const Setting& setting : settings) set(root, setting);
  std::ostringstream out;
  out << root << "\n";
  return out.str();
}

}  // namespace lindos
