// SPDX-License-Identifier: Apache-2.0
#include "scenarios/csv_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"

namespace lindos {

namespace {

// More GPUs, sequences or tokens than any row can mean, and products of two stay exact.
constexpr double kMostUnits = 2147483648.0;

}  // namespace

CsvReader::CsvReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

std::optional<CsvRecord> CsvReader::next() {
  while (!at_end() && (text_[position_] == '\n' || text_[position_] == '\r')) step();
  if (at_end()) return std::nullopt;
  CsvRecord record{line_, {}};
  for (;;) {
    record.fields.push_back(field());
    if (at_end()) return record;
    const char end = text_[position_];
    step();
    if (end != ',') return record;
  }
}

void CsvReader::step() {
  if (text_[position_] == '\n') ++line_;
  ++position_;
}

std::string CsvReader::field() {
  std::string value;
  if (at_end() || text_[position_] != '"') {
    while (!at_end() && text_[position_] != ',' && text_[position_] != '\n' && text_[position_] != '\r') {
      value.push_back(text_[position_]);
      step();
    }
    if (!at_end() && text_[position_] == '\r') step();
    return value;
  }
  const std::int64_t begin = line_;
  step();
  for (;;) {
    if (at_end()) {
      throw Error(ErrorKind::kInput, where_ + ":" + std::to_string(begin), "the quote that opens here does not end");
    }
    const char c = text_[position_];
    step();
    if (c != '"') {
      value.push_back(c);
      continue;
    }
    if (at_end() || text_[position_] != '"') break;
    value.push_back('"');  // doubled: a quote
    step();
  }
  if (!at_end() && text_[position_] == '\r') step();
  if (!at_end() && text_[position_] != ',' && text_[position_] != '\n') {
    throw Error(ErrorKind::kInput, where_ + ":" + std::to_string(line_), "text after a closing quote");
  }
  return value;
}

CsvTable::CsvTable(std::string where, std::string_view text, std::initializer_list<std::string_view> required)
    : file_(std::move(where)), reader_(text, file_) {
  std::optional<CsvRecord> header = reader_.next();
  if (!header) throw Error(ErrorKind::kInput, file_, "the file has no header");
  header_ = std::move(header->fields);
  for (const std::string_view column : required) {
    if (std::find(header_.begin(), header_.end(), column) != header_.end()) continue;
    const auto near = nearest_spelling(column, header_.data(), header_.size());
    throw Error(ErrorKind::kInput, file_ + ":" + std::to_string(header->line),
                "no column \"" + std::string(column) + "\"" +
                    (near ? "; \"" + *near + "\" is the nearest there is" : ""));
  }
}

bool CsvTable::next() {
  std::optional<CsvRecord> record = reader_.next();
  if (!record) return false;
  record_ = std::move(*record);
  if (record_.fields.size() != header_.size()) {
    throw Error(ErrorKind::kInput, where(), std::to_string(record_.fields.size()) + " fields; the header names " +
                                                std::to_string(header_.size()));
  }
  return true;
}

std::string CsvTable::where() const { return file_ + ":" + std::to_string(record_.line); }

bool CsvTable::has(std::string_view column) const {
  return std::find(header_.begin(), header_.end(), column) != header_.end();
}

std::string_view CsvTable::text(std::string_view column) const {
  const auto found = std::find(header_.begin(), header_.end(), column);
  if (found == header_.end()) return {};
  return record_.fields[static_cast<std::size_t>(found - header_.begin())];
}

std::optional<double> CsvTable::number(std::string_view column) const {
  const std::string_view field = text(column);
  if (field.empty()) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value) || value <= 0.0) {
    complain(column, "a number above 0");
  }
  return value;
}

std::optional<std::int64_t> CsvTable::count(std::string_view column, std::int64_t least) const {
  const std::string_view field = text(column);
  if (field.empty()) return std::nullopt;
  double value = 0.0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  const bool number = error == std::errc{} && end == field.data() + field.size();
  if (!number || !(value <= kMostUnits) || value != std::floor(value) || value < static_cast<double>(least)) {
    complain(column, "a whole number from " + std::to_string(least));
  }
  return static_cast<std::int64_t>(value);
}

void CsvTable::complain(std::string_view column, const std::string& expected) const {
  throw Error(ErrorKind::kInput, where(),
              std::string(column) + ": expected " + expected + ", saw \"" + std::string(text(column)) + "\"");
}

}  // namespace lindos
