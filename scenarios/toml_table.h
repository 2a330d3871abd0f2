// SPDX-License-Identifier: Apache-2.0
// A TOML table as the loaders see it: typed access by key, where every complaint names
// file:line:column, the key path, what was expected and what was seen. Borrows the parsed document.
//
//   const TomlTable pool = cluster.table("pool");
//   pool.allow({"name", "nodes"});
//   const std::int64_t nodes = pool.integer("nodes", 1, 1'000'000);
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <toml++/toml.h>

#include "scenarios/dtype.h"
#include "scenarios/hardware.h"
#include "scenarios/quantity_text.h"

namespace lindos {

// Throws Error{kInput} with file:line:column of the first syntax error.
[[nodiscard]] toml::table parse_toml(std::string_view text, const std::string& file);

class TomlTable {
 public:
  // `path` is the dotted path from the root, empty for the root itself.
  TomlTable(const toml::table& table, std::string path, std::string file)
      : table_(&table), path_(std::move(path)), file_(std::move(file)) {}

  // Refuses every key that is not listed and names the nearest one.
  void allow(std::initializer_list<std::string_view> keys,
             std::initializer_list<std::string_view> more = {}) const;

  // Refuses a table that lacks one of these keys.
  void require(std::initializer_list<std::string_view> keys) const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const toml::table& raw() const { return *table_; }
  [[nodiscard]] const std::string& file() const { return file_; }
  [[nodiscard]] bool has(std::string_view key) const { return table_->contains(key); }
  [[nodiscard]] bool is_table(std::string_view key) const;
  [[nodiscard]] bool is_text(std::string_view key) const;
  [[nodiscard]] bool is_array(std::string_view key) const;
  // The keys of this table, sorted.
  [[nodiscard]] std::vector<std::string> keys() const;

  // Required values; the bounds are inclusive.
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] std::int64_t integer(std::string_view key, std::int64_t low,
                                     std::int64_t high) const;
  [[nodiscard]] double number(std::string_view key, double low, double high) const;
  [[nodiscard]] bool boolean(std::string_view key) const;
  [[nodiscard]] TomlTable table(std::string_view key) const;
  [[nodiscard]] std::vector<double> numbers(std::string_view key, double low, double high) const;
  [[nodiscard]] std::vector<std::int64_t> integers(std::string_view key, std::int64_t low,
                                                   std::int64_t high) const;
  [[nodiscard]] Dtype dtype(std::string_view key) const;
  // A text that must be one of `choices`.
  [[nodiscard]] std::string word(std::string_view key,
                                 std::initializer_list<std::string_view> choices) const;
  // The same, as an index into `choices`.
  [[nodiscard]] std::size_t choice(std::string_view key,
                                   std::initializer_list<std::string_view> choices) const;
  // Checks `format = "…"` and `version = 1`.
  void expect_format(std::string_view format) const;
  // The `source` key: "text" or { text = "…", date = 2026-08-01 }.
  [[nodiscard]] Source source() const { return source_at("source"); }
  [[nodiscard]] Source source_at(std::string_view key) const;

  // Optional values.
  [[nodiscard]] std::string text_or(std::string_view key, std::string fallback) const {
    return has(key) ? text(key) : std::move(fallback);
  }
  [[nodiscard]] std::int64_t integer_or(std::string_view key, std::int64_t fallback,
                                        std::int64_t low, std::int64_t high) const {
    return has(key) ? integer(key, low, high) : fallback;
  }
  [[nodiscard]] int small_or(std::string_view key, int fallback, int low, int high) const {
    return static_cast<int>(integer_or(key, fallback, low, high));
  }
  [[nodiscard]] double number_or(std::string_view key, double fallback, double low,
                                 double high) const {
    return has(key) ? number(key, low, high) : fallback;
  }
  [[nodiscard]] bool boolean_or(std::string_view key, bool fallback) const {
    return has(key) ? boolean(key) : fallback;
  }
  [[nodiscard]] Dtype dtype_or(std::string_view key, Dtype fallback) const {
    return has(key) ? dtype(key) : fallback;
  }
  // An array of tables; empty when the key is absent.
  [[nodiscard]] std::vector<TomlTable> tables_or_none(std::string_view key) const;

  // A quantity such as "400 Gb/s"; Q is one of the strong types of units.h.
  template <class Q>
  [[nodiscard]] Q quantity(std::string_view key) const {
    const auto [value, place] = quantity_text(key, example_of<Q>());
    return parse_as<Q>(value, place);
  }
  template <class Q>
  [[nodiscard]] Q quantity_or(std::string_view key, Q fallback) const {
    return has(key) ? quantity<Q>(key) : fallback;
  }

  // "file:line:column: path.key" of a value, or of this table when the key is absent.
  [[nodiscard]] std::string where(std::string_view key) const;
  [[noreturn]] void fail(std::string_view key, const std::string& message) const;
  [[noreturn]] void fail_unknown(std::string_view key, const std::string& kind,
                                 const std::string& word,
                                 const std::vector<std::string>& known) const;

 private:
  struct QuantityText {
    std::string value;
    std::string place;
  };
  [[nodiscard]] const toml::node& node(std::string_view key) const;
  [[nodiscard]] const toml::array& array(std::string_view key, const char* expected) const;
  [[nodiscard]] QuantityText quantity_text(std::string_view key, const char* example) const;
  [[nodiscard]] std::string joined(std::string_view key) const;

  template <class Q>
  static constexpr const char* example_of() {
    if constexpr (std::is_same_v<Q, Bytes>) return "80 GiB";
    if constexpr (std::is_same_v<Q, BytesPerSecond>) return "400 Gb/s";
    if constexpr (std::is_same_v<Q, FlopPerSecond>) return "989 TFLOP/s";
    if constexpr (std::is_same_v<Q, Watts>) return "700 W";
    if constexpr (std::is_same_v<Q, Seconds>) return "10 ms";
    if constexpr (std::is_same_v<Q, Hertz>) return "2 /s";
    if constexpr (std::is_same_v<Q, DollarsPerSecond>) return "2.5 $/h";
    if constexpr (std::is_same_v<Q, DollarsPerJoule>) return "0.08 $/kWh";
    return "";
  }
  template <class Q>
  static Q parse_as(const std::string& value, const std::string& place) {
    if constexpr (std::is_same_v<Q, Bytes>) return parse_bytes(value, place);
    if constexpr (std::is_same_v<Q, BytesPerSecond>) return parse_bytes_per_second(value, place);
    if constexpr (std::is_same_v<Q, FlopPerSecond>) return parse_flop_per_second(value, place);
    if constexpr (std::is_same_v<Q, Watts>) return parse_watts(value, place);
    if constexpr (std::is_same_v<Q, Seconds>) return parse_seconds(value, place);
    if constexpr (std::is_same_v<Q, Hertz>) return parse_hertz(value, place);
    if constexpr (std::is_same_v<Q, DollarsPerSecond>) return parse_dollars_per_second(value, place);
    if constexpr (std::is_same_v<Q, DollarsPerJoule>) return parse_dollars_per_joule(value, place);
  }

  const toml::table* table_;
  std::string path_;
  std::string file_;
};

}  // namespace lindos
