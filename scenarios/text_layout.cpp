// SPDX-License-Identifier: Apache-2.0
#include "scenarios/text_layout.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "scenarios/error.h"

namespace lindos {
namespace {

// Code points of a UTF-8 text: bytes that do not continue one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U;
  }));
}

}  // namespace

std::string with_thousands(std::int64_t value) {
  const std::string plain = std::to_string(value);
  std::string text;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    const bool group_starts = i > 0 && plain[i - 1] != '-' && (plain.size() - i) % 3 == 0;
    if (group_starts) text += ',';
    text += plain[i];
  }
  return text;
}

std::string plural(std::int64_t n, const std::string& noun, const std::string& ending) {
  return with_thousands(n) + ' ' + noun + (n == 1 ? "" : ending);
}

double rounded(double value, int digits) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::scientific, digits - 1);
  double result = value;
  std::from_chars(buffer.data(), end.ptr, result);
  return result;
}

std::string number_text(double value, int digits) {
  std::array<char, 64> buffer{};
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value,
                                 std::chars_format::general, digits);
  return std::string(buffer.data(), end.ptr);
}

std::string wrapped(std::string_view text, std::size_t width, std::size_t indent) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    const bool fits = column + 1 + width_of(word) <= width;
    if (out.empty()) {
      column += width_of(word);
    } else if (fits) {
      out += ' ';
      column += 1 + width_of(word);
    } else {
      out += '\n' + std::string(indent, ' ');
      column = indent + width_of(word);
    }
    out += word;
  }
  return out;
}

void TextColumns::row(std::vector<std::string> cells) {
  LINDOS_ASSERT(cells.size() == numeric_.size(), "a row has one cell per column");
  rows_.push_back(std::move(cells));
}

std::string TextColumns::str(std::size_t indent) const {
  std::vector<std::size_t> widths(numeric_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line(indent, ' ');
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - width_of(row[i]), ' ');
      line += (i == 0 ? "" : "  ");
      line += numeric_[i] ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  }
  return out;
}

}  // namespace lindos
