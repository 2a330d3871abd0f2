// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>

namespace lindos::cli {

std::size_t width_of(const std::string& text) {
  // Continuation bytes are 10xxxxxx.
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string Table::text() const {
  std::vector<std::size_t> widths(header_.size());
  const auto measure = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  };
  measure(header_);
  for (const auto& row : rows_) measure(row);
  std::string out;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line = " ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string pad(widths[i] - width_of(row[i]), ' ');
      line += i == 0 ? " " + row[i] + pad : "  " + pad + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  append(header_);
  std::size_t total = 2;
  for (std::size_t w : widths) total += w + 2;
  std::string rule = "  ";
  for (std::size_t i = 0; i + 4 < total; ++i) rule += "─";
  out += rule + '\n';
  for (const auto& row : rows_) append(row);
  return out;
}

}  // namespace lindos::cli
