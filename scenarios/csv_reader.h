// SPDX-License-Identifier: Apache-2.0
// Records of a CSV file with a header: quotes as in RFC 4180, lines that end in LF or CR LF, empty lines skipped.
// Columns are found by name, in any order. Every complaint is Error{kInput} with file:line.
//
//   CsvTable table("rows.csv", text, {"model", "tokens"});
//   while (table.next()) use(table.text("model"), table.count("tokens"), table.where());
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lindos {

struct CsvRecord {
  std::int64_t line = 1;
  std::vector<std::string> fields;
};

class CsvReader {
 public:
  // `text` is borrowed; `where` names the file.
  CsvReader(std::string_view text, std::string where);
  // The next line that is not empty; nothing at the end.
  [[nodiscard]] std::optional<CsvRecord> next();

 private:
  [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
  void step();
  [[nodiscard]] std::string field();

  std::string_view text_;
  std::string where_;
  std::size_t position_ = 0;
  std::int64_t line_ = 1;
};

class CsvTable {
 public:
  // Reads the header. A required column that is missing is named with the nearest one that is there.
  CsvTable(std::string where, std::string_view text, std::initializer_list<std::string_view> required);

  // Moves to the next record; false at the end. A record with another number of fields than the header is refused.
  [[nodiscard]] bool next();
  [[nodiscard]] std::string where() const;  // file:line of the record
  [[nodiscard]] bool has(std::string_view column) const;
  // Empty for a column that is not there, which is the same as not stated.
  [[nodiscard]] std::string_view text(std::string_view column) const;
  // Nothing when the field is empty; refused unless it is finite and above 0.
  [[nodiscard]] std::optional<double> number(std::string_view column) const;
  // Nothing when the field is empty; refused unless it is a whole number from `least` to 2^31.
  [[nodiscard]] std::optional<std::int64_t> count(std::string_view column, std::int64_t least = 1) const;

 private:
  [[noreturn]] void complain(std::string_view column, const std::string& expected) const;

  std::string file_;
  CsvReader reader_;
  std::vector<std::string> header_;
  CsvRecord record_;
};

}  // namespace lindos
