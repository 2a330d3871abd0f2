// SPDX-License-Identifier: Apache-2.0
#include "scenarios/toml_text.h"

#include <array>
#include <charconv>
#include <cstdio>

namespace lindos {
namespace {

std::string shortest(double value) {
  std::array<char, 32> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  return std::string(buffer.data(), end.ptr);
}

template <class Q, class Parse>
std::string exact(Q value, double number, const char* unit, Parse parse) {
  std::string readable = format(value);
  if (parse(readable, "") == value) return toml_quoted(readable);
  return toml_quoted(shortest(number) + ' ' + unit);
}

bool is_bare_key(std::string_view key) {
  for (const char c : key) {
    const bool bare = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '_' || c == '-';
    if (!bare) return false;
  }
  return !key.empty();
}

}  // namespace

std::string toml_number(double value) {
  std::string text = shortest(value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string toml_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04X", static_cast<unsigned>(byte));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string toml_source(const Source& source) {
  if (source.date.empty()) return toml_quoted(source.text);
  return "{ text = " + toml_quoted(source.text) + ", date = " + source.date + " }";
}

void TomlText::raw(std::string_view key, std::string_view value) {
  text_ += is_bare_key(key) ? std::string(key) : toml_quoted(key);
  text_ += " = ";
  text_ += value;
  text_ += '\n';
}

void TomlText::quantity(std::string_view key, Bytes v) {
  raw(key, exact(v, v.value(), "B", parse_bytes));
}
void TomlText::quantity(std::string_view key, BytesPerSecond v) {
  raw(key, exact(v, v.value(), "B/s", parse_bytes_per_second));
}
void TomlText::quantity(std::string_view key, FlopPerSecond v) {
  raw(key, exact(v, v.value(), "FLOP/s", parse_flop_per_second));
}
void TomlText::quantity(std::string_view key, Watts v) {
  raw(key, exact(v, v.value(), "W", parse_watts));
}
void TomlText::quantity(std::string_view key, Seconds v) {
  raw(key, exact(v, v.count(), "s", parse_seconds));
}
void TomlText::quantity(std::string_view key, Hertz v) {
  raw(key, exact(v, v.value(), "/s", parse_hertz));
}
void TomlText::quantity(std::string_view key, DollarsPerSecond v) {
  raw(key, exact(v, v.value(), "$/s", parse_dollars_per_second));
}
void TomlText::quantity(std::string_view key, DollarsPerJoule v) {
  raw(key, exact(v, v.value(), "$/J", parse_dollars_per_joule));
}

}  // namespace lindos
