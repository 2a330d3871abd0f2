// SPDX-License-Identifier: Apache-2.0
#include "scenarios/toml_table.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "scenarios/error.h"
#include "scenarios/text_layout.h"

namespace lindos {
namespace {

std::string position(const std::string& file, const toml::source_region& region) {
  const std::string& name = region.path ? *region.path : file;
  if (region.begin.line == 0) return name;
  return name + ':' + std::to_string(region.begin.line) + ':' + std::to_string(region.begin.column);
}

// What the user wrote, short: scalars as in TOML, containers by their kind.
std::string seen(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  if (const auto* text = node.as_string()) {
    static constexpr std::size_t kShown = 40;
    const std::string& s = text->get();
    return '"' + s.substr(0, kShown) + (s.size() > kShown ? "…\"" : "\"");
  }
  std::ostringstream out;
  node.visit([&](const auto& value) {
    if constexpr (toml::is_value<decltype(value)>) out << value.get();
  });
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  return out.str();
}

std::string quoted_list(const std::vector<std::string>& words) {
  std::string list;
  for (const std::string& w : words) list += (list.empty() ? "\"" : ", \"") + w + '"';
  return list;
}

std::optional<double> as_number(const toml::node& node) {
  if (const auto* i = node.as_integer()) return static_cast<double>(i->get());
  if (const auto* f = node.as_floating_point()) return f->get();
  return std::nullopt;
}

}  // namespace

toml::table parse_toml(std::string_view text, const std::string& file) {
  try {
    return toml::parse(text, std::string_view(file));
  } catch (const toml::parse_error& e) {
    throw Error(ErrorKind::kInput, position(file, e.source()), std::string(e.description()));
  }
}

std::string TomlTable::joined(std::string_view key) const {
  if (path_.empty()) return std::string(key);
  return key.empty() ? path_ : path_ + '.' + std::string(key);
}

std::string TomlTable::where(std::string_view key) const {
  const toml::node* value = key.empty() ? nullptr : table_->get(key);
  const std::string path = value == nullptr ? path_ : joined(key);
  const std::string place = position(file_, value == nullptr ? table_->source() : value->source());
  return path.empty() ? place : place + ": " + path;
}

void TomlTable::fail(std::string_view key, const std::string& message) const {
  throw Error(ErrorKind::kInput, where(key), message);
}

void TomlTable::fail_unknown(std::string_view key, const std::string& kind, const std::string& word,
                             const std::vector<std::string>& known) const {
  std::string message = "unknown " + kind + " \"" + word.substr(0, 60) + '"';
  if (const auto nearest = nearest_spelling(word, known.data(), known.size())) {
    message += "; did you mean \"" + *nearest + "\"?";
  } else if (known.empty()) {
    message += "; none is known here";
  } else {
    message += "; known: " + quoted_list(known);
  }
  fail(key, message);
}

void TomlTable::allow(std::initializer_list<std::string_view> keys,
                      std::initializer_list<std::string_view> more) const {
  std::vector<std::string> known(keys.begin(), keys.end());
  known.insert(known.end(), more.begin(), more.end());
  for (const auto& [key, value] : *table_) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    std::string message = "unknown key";
    if (const auto nearest = nearest_spelling(key.str(), known.data(), known.size())) {
      message += "; did you mean \"" + *nearest + "\"?";
    } else {
      message += "; known: " + quoted_list(known);
    }
    throw Error(ErrorKind::kInput, position(file_, key.source()) + ": " + joined(key.str()),
                message);
  }
}

void TomlTable::require(std::initializer_list<std::string_view> keys) const {
  for (const std::string_view key : keys) static_cast<void>(node(key));
}

bool TomlTable::is_table(std::string_view key) const {
  const toml::node* n = table_->get(key);
  return n != nullptr && n->is_table();
}
bool TomlTable::is_text(std::string_view key) const {
  const toml::node* n = table_->get(key);
  return n != nullptr && n->is_string();
}
bool TomlTable::is_array(std::string_view key) const {
  const toml::node* n = table_->get(key);
  return n != nullptr && n->is_array();
}

std::vector<std::string> TomlTable::keys() const {
  std::vector<std::string> names;
  for (const auto& [key, value] : *table_) names.emplace_back(key.str());
  return names;
}

const toml::node& TomlTable::node(std::string_view key) const {
  const toml::node* n = table_->get(key);
  if (n == nullptr) fail("", "missing key \"" + std::string(key) + '"');
  return *n;
}

std::string TomlTable::text(std::string_view key) const {
  const toml::node& n = node(key);
  const auto* value = n.as_string();
  if (value == nullptr) fail(key, "expected a text in quotes, saw " + seen(n));
  if (value->get().empty()) fail(key, "expected a text, saw an empty one");
  return value->get();
}

std::int64_t TomlTable::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const toml::node& n = node(key);
  const auto* value = n.as_integer();
  if (value == nullptr) fail(key, "expected an integer, saw " + seen(n));
  if (value->get() < low || value->get() > high) {
    fail(key, "expected an integer from " + std::to_string(low) + " to " + std::to_string(high) +
                  ", saw " + seen(n));
  }
  return value->get();
}

double TomlTable::number(std::string_view key, double low, double high) const {
  const toml::node& n = node(key);
  const auto value = as_number(n);
  if (!value) fail(key, "expected a number, saw " + seen(n));
  // Written so that NaN fails too.
  if (!(*value >= low && *value <= high)) {
    fail(key, "expected a number from " + number_text(low) + " to " + number_text(high) + ", saw " +
                  seen(n));
  }
  return *value + 0.0;  // -0.0 becomes 0.0: equal values, equal digests
}

bool TomlTable::boolean(std::string_view key) const {
  const toml::node& n = node(key);
  const auto* value = n.as_boolean();
  if (value == nullptr) fail(key, "expected true or false, saw " + seen(n));
  return value->get();
}

TomlTable TomlTable::table(std::string_view key) const {
  const toml::node& n = node(key);
  if (!n.is_table()) fail(key, "expected a table, saw " + seen(n));
  return {*n.as_table(), joined(key), file_};
}

std::vector<TomlTable> TomlTable::tables_or_none(std::string_view key) const {
  std::vector<TomlTable> result;
  if (!has(key)) return result;
  const toml::node& n = node(key);
  const auto* items = n.as_array();
  if (items == nullptr)
    fail(key, "expected an array of tables ([[" + joined(key) + "]]), saw " + seen(n));
  for (const toml::node& item : *items) {
    if (!item.is_table()) fail(key, "expected an array of tables, saw an element that is none");
    result.emplace_back(*item.as_table(), joined(key), file_);
  }
  return result;
}

const toml::array& TomlTable::array(std::string_view key, const char* expected) const {
  const toml::node& n = node(key);
  const auto* items = n.as_array();
  if (items == nullptr) fail(key, std::string("expected ") + expected + ", saw " + seen(n));
  return *items;
}

std::vector<double> TomlTable::numbers(std::string_view key, double low, double high) const {
  std::vector<double> result;
  for (const toml::node& item : array(key, "an array of numbers such as [2.0, 1.0]")) {
    const auto value = as_number(item);
    if (!value || !(*value >= low && *value <= high)) {
      fail(key, "expected numbers from " + number_text(low) + " to " + number_text(high) +
                    ", saw " + seen(item));
    }
    result.push_back(*value);
  }
  return result;
}

std::vector<std::int64_t> TomlTable::integers(std::string_view key, std::int64_t low,
                                              std::int64_t high) const {
  std::vector<std::int64_t> result;
  for (const toml::node& item : array(key, "an array of integers such as [64, 128]")) {
    const auto* value = item.as_integer();
    if (value == nullptr || value->get() < low || value->get() > high) {
      fail(key, "expected integers from " + std::to_string(low) + " to " + std::to_string(high) +
                    ", saw " + seen(item));
    }
    result.push_back(value->get());
  }
  return result;
}

Dtype TomlTable::dtype(std::string_view key) const {
  const std::string name = text(key);
  if (const auto found = find_dtype(name)) return *found;
  fail_unknown(key, "dtype", name, {"f32", "f16", "bf16", "fp8", "fp4", "int8"});
}

std::size_t TomlTable::choice(std::string_view key,
                              std::initializer_list<std::string_view> choices) const {
  const std::string word = text(key);
  const auto found = std::find(choices.begin(), choices.end(), word);
  if (found != choices.end()) return static_cast<std::size_t>(found - choices.begin());
  fail_unknown(key, "choice", word, std::vector<std::string>(choices.begin(), choices.end()));
}

std::string TomlTable::word(std::string_view key,
                            std::initializer_list<std::string_view> choices) const {
  return std::string(choices.begin()[choice(key, choices)]);
}

void TomlTable::expect_format(std::string_view format) const {
  const std::string found = text("format");
  if (found != format)
    fail("format", "expected \"" + std::string(format) + "\", saw \"" + found + '"');
  const std::int64_t version = integer("version", 1, INT64_MAX);
  if (version > 1) {
    fail("version", "version " + std::to_string(version) +
                        " is newer than this lindos, which reads version 1; update lindos");
  }
}

Source TomlTable::source_at(std::string_view key) const {
  if (!is_table(key)) return {text(key), ""};
  const TomlTable details = table(key);
  details.allow({"text", "date"});
  Source result{details.text("text"), ""};
  if (details.has("date")) {
    const auto* date = details.raw().get("date")->as_date();
    if (date == nullptr) {
      details.fail("date", "expected a date such as 2026-08-01 (without quotes), saw " +
                               seen(*details.raw().get("date")));
    }
    std::ostringstream out;
    out << date->get();
    result.date = out.str();
  }
  return result;
}

TomlTable::QuantityText TomlTable::quantity_text(std::string_view key, const char* example) const {
  const toml::node& n = node(key);
  const auto* value = n.as_string();
  if (value == nullptr) {
    fail(key, std::string("expected a quantity such as \"") + example + "\", saw " + seen(n));
  }
  return {value->get(), where(key)};
}

}  // namespace lindos
