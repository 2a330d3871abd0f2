// SPDX-License-Identifier: Apache-2.0
// Builds canonical TOML text: fixed key order, exact numbers, one spelling per value. Equal values
// give equal bytes, so the text can be hashed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "scenarios/dtype.h"
#include "scenarios/hardware.h"
#include "scenarios/quantity_text.h"
#include "scenarios/units.h"

namespace lindos {

// Shortest text that reads back as the same double; always a TOML float ("2.0", not "2").
[[nodiscard]] std::string toml_number(double value);
// Basic string in quotes with the escapes TOML asks for.
[[nodiscard]] std::string toml_quoted(std::string_view text);

// "text", or { text = "…", date = … } when there is a date.
[[nodiscard]] std::string toml_source(const Source& source);

class TomlText {
 public:
  void header(std::string_view name) { text_ += "\n[" + std::string(name) + "]\n"; }
  void array_header(std::string_view name) { text_ += "\n[[" + std::string(name) + "]]\n"; }
  void raw(std::string_view key, std::string_view value);
  void text(std::string_view key, std::string_view value) { raw(key, toml_quoted(value)); }
  // Empty texts are left out: the reader's default.
  void text_if_any(std::string_view key, std::string_view value) {
    if (!value.empty()) text(key, value);
  }
  void integer(std::string_view key, std::int64_t value) { raw(key, std::to_string(value)); }
  void number(std::string_view key, double value) { raw(key, toml_number(value)); }
  void boolean(std::string_view key, bool value) { raw(key, value ? "true" : "false"); }
  void dtype(std::string_view key, Dtype value) { text(key, name_of(value)); }
  template <class T>
  void integers(std::string_view key, const std::vector<T>& values) {
    std::string list;
    for (const T v : values) list += (list.empty() ? "" : ", ") + std::to_string(v);
    raw(key, '[' + list + ']');
  }
  void source(const Source& source) {
    if (source != Source{}) raw("source", toml_source(source));
  }

  // The readable form where it is exact, else the base unit with all digits.
  void quantity(std::string_view key, Bytes v);
  void quantity(std::string_view key, BytesPerSecond v);
  void quantity(std::string_view key, FlopPerSecond v);
  void quantity(std::string_view key, Watts v);
  void quantity(std::string_view key, Seconds v);
  void quantity(std::string_view key, Hertz v);
  void quantity(std::string_view key, DollarsPerSecond v);
  void quantity(std::string_view key, DollarsPerJoule v);

  [[nodiscard]] const std::string& str() const { return text_; }

 private:
  std::string text_;
};

}  // namespace lindos
