// SPDX-License-Identifier: Apache-2.0
#include "sim/training/published_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"
#include "scenarios/text_file.h"

namespace lindos::sim {

namespace {

enum Column : std::size_t {
  kId,
  kGroup,
  kSoftware,
  kModel,
  kGpu,
  kPrecision,
  kRecompute,
  kSharding,
  kStrict,
  kDevices,
  kGlobalBatch,
  kSequence,
  kMicroBatch,
  kTensor,
  kPipeline,
  kContext,
  kChunks,
  kData,
  kExpert,
  kStep,
  kTokensPerSecond,
  kColumnCount,
};
const std::array<std::string, kColumnCount> kNames = {
    "id",   "group",  "software", "model", "gpu",     "precision",   "recompute",
    "FSDP", "strict", "n_gpus",   "gbs",   "seq_len", "mbs",         "TP",
    "PP",   "CP",     "VP",       "DP",    "EP",      "step_time_s", "tokens_per_s",
};

// 2^31: more GPUs, sequences or tokens than any row can mean, and products of two stay exact.
constexpr double kMostUnits = 2147483648.0;

struct Record {
  std::int64_t line = 1;
  std::vector<std::string> fields;
};

class CsvReader {
 public:
  CsvReader(std::string_view text, std::string where) : text_(text), where_(std::move(where)) {}

  [[nodiscard]] bool at_end() const { return position_ == text_.size(); }

  // The next line that is not empty; nothing at the end.
  std::optional<Record> next() {
    while (!at_end() && (text_[position_] == '\n' || text_[position_] == '\r')) step();
    if (at_end()) return std::nullopt;
    Record record{line_, {}};
    for (;;) {
      record.fields.push_back(field());
      if (at_end()) return record;
      const char end = text_[position_];
      step();
      if (end == ',') continue;
      return record;
    }
  }

 private:
  void step() {
    if (text_[position_] == '\n') ++line_;
    ++position_;
  }

  std::string field() {
    std::string value;
    if (at_end() || text_[position_] != '"') {
      while (!at_end() && text_[position_] != ',' && text_[position_] != '\n' &&
             text_[position_] != '\r') {
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
        throw Error(ErrorKind::kInput, where_ + ":" + std::to_string(begin),
                    "the quote that opens here does not end");
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
      throw Error(ErrorKind::kInput, where_ + ":" + std::to_string(line_),
                  "text after a closing quote");
    }
    return value;
  }

  std::string_view text_;
  std::string where_;
  std::size_t position_ = 0;
  std::int64_t line_ = 1;
};

// position[column] in a record.
std::array<std::size_t, kColumnCount> find_columns(const Record& header, const std::string& where) {
  std::array<std::size_t, kColumnCount> position{};
  for (std::size_t c = 0; c < kColumnCount; ++c) {
    const auto found = std::find(header.fields.begin(), header.fields.end(), kNames[c]);
    if (found == header.fields.end()) {
      const auto near = nearest_spelling(kNames[c], header.fields.data(), header.fields.size());
      throw Error(ErrorKind::kInput, where,
                  "no column \"" + kNames[c] + "\"" +
                      (near ? "; \"" + *near + "\" is the nearest there is" : ""));
    }
    position[c] = static_cast<std::size_t>(found - header.fields.begin());
  }
  return position;
}

class Fields {
 public:
  Fields(const Record& record, const std::array<std::size_t, kColumnCount>& position,
         std::string where)
      : record_(record), position_(position), where_(std::move(where)) {}

  [[nodiscard]] const std::string& text(Column column) const {
    return record_.fields[position_[column]];
  }
  [[nodiscard]] std::optional<double> number(Column column) const {
    const std::string& field = text(column);
    if (field.empty()) return std::nullopt;
    double value = 0.0;
    const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    if (error != std::errc{} || end != field.data() + field.size() || !std::isfinite(value) ||
        value <= 0.0) {
      complain(column, "a number above 0");
    }
    return value;
  }
  [[nodiscard]] std::optional<std::int64_t> count(Column column) const {
    const std::optional<double> value = number(column);
    if (!value) return std::nullopt;
    if (*value != std::floor(*value) || *value > kMostUnits) {
      complain(column, "a whole number from 1");
    }
    return static_cast<std::int64_t>(*value);
  }

 private:
  [[noreturn]] void complain(Column column, const std::string& expected) const {
    throw Error(ErrorKind::kInput, where_,
                kNames[column] + ": expected " + expected + ", saw \"" + text(column) + "\"");
  }

  const Record& record_;
  const std::array<std::size_t, kColumnCount>& position_;
  std::string where_;
};

}  // namespace

std::optional<Seconds> PublishedRow::step_time() const {
  if (step) return step;
  if (!tokens_per_second || !global_batch || !sequence) return std::nullopt;
  return Seconds(static_cast<double>(*global_batch * *sequence) / *tokens_per_second);
}

std::vector<PublishedRow> parse_published_rows(std::string_view text, const std::string& where) {
  CsvReader reader(text, where);
  const std::optional<Record> header = reader.next();
  if (!header) throw Error(ErrorKind::kInput, where, "the file has no header");
  const auto position = find_columns(*header, where + ":" + std::to_string(header->line));
  std::vector<PublishedRow> rows;
  while (const std::optional<Record> record = reader.next()) {
    PublishedRow row;
    row.where = where + ":" + std::to_string(record->line);
    if (record->fields.size() != header->fields.size()) {
      throw Error(ErrorKind::kInput, row.where,
                  std::to_string(record->fields.size()) + " fields; the header names " +
                      std::to_string(header->fields.size()));
    }
    const Fields fields(*record, position, row.where);
    row.id = fields.text(kId);
    row.group = fields.text(kGroup);
    row.software = fields.text(kSoftware);
    row.model = fields.text(kModel);
    row.gpu = fields.text(kGpu);
    row.precision = fields.text(kPrecision);
    row.recompute = fields.text(kRecompute);
    row.sharding = fields.text(kSharding);
    row.grade = fields.text(kStrict);
    row.devices = fields.count(kDevices);
    row.global_batch = fields.count(kGlobalBatch);
    row.sequence = fields.count(kSequence);
    row.micro_batch = fields.count(kMicroBatch);
    row.tensor = fields.count(kTensor);
    row.pipeline = fields.count(kPipeline);
    row.context = fields.count(kContext);
    row.chunks = fields.count(kChunks);
    row.data = fields.count(kData);
    row.expert = fields.count(kExpert);
    if (const auto seconds = fields.number(kStep)) row.step = Seconds(*seconds);
    row.tokens_per_second = fields.number(kTokensPerSecond);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<PublishedRow> read_published_rows(const std::filesystem::path& path) {
  return parse_published_rows(read_text_file(path, path.string()), path.string());
}

}  // namespace lindos::sim
