// SPDX-License-Identifier: Apache-2.0
// Plain text table: first column left, the others right; widths counted in characters, not bytes.
#pragma once

#include <string>
#include <vector>

namespace lindos::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  [[nodiscard]] std::string text() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// Characters of UTF-8 text (combining marks are not expected here).
[[nodiscard]] std::size_t width_of(const std::string& text);

}  // namespace lindos::cli
