// SPDX-License-Identifier: Apache-2.0
// Plain-text layout for terminals: thousands separators, rounding for display, aligned columns,
// wrapped text. Widths count code points, so "×" and "–" take one column.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lindos {

// 18750 → "18,750".
[[nodiscard]] std::string with_thousands(std::int64_t value);

// 2, "rack" → "2 racks"; 1, "rack" → "1 rack".
[[nodiscard]] std::string plural(std::int64_t n, const std::string& noun,
                                 const std::string& ending = "s");

// `value` with `digits` significant decimal digits; for display only.
[[nodiscard]] double rounded(double value, int digits = 4);
// The same as text without trailing zeros: 1.1 → "1.1", 30000 → "30000".
[[nodiscard]] std::string number_text(double value, int digits = 6);
template <class Q>
[[nodiscard]] Q rounded_quantity(Q value, int digits = 4) {
  return Q(rounded(value.value(), digits));
}

// Words of `text` in lines of at most `width` columns; every line but the first starts with
// `indent` spaces.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t width, std::size_t indent);

// Rows of cells, each column as wide as its widest cell. Columns are left-aligned unless named
// numeric.
class TextColumns {
 public:
  // `numeric[i]` aligns column i to the right.
  explicit TextColumns(std::vector<bool> numeric) : numeric_(std::move(numeric)) {}
  // REQUIRES: as many cells as columns.
  void row(std::vector<std::string> cells);
  [[nodiscard]] std::string str(std::size_t indent) const;

 private:
  std::vector<bool> numeric_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace lindos
