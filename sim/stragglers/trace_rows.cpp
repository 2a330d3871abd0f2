// SPDX-License-Identifier: Apache-2.0
#include "sim/stragglers/trace_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "scenarios/error.h"
#include "scenarios/quantity_text.h"
#include "scenarios/trace_lines.h"

namespace lindos::sim {

namespace {

// 1.6 GB of rows; the largest public trace has 0.1 million.
constexpr std::size_t kMostRows = 20'000'000;
constexpr std::size_t kLongestQuote = 40;
constexpr double kLargestTime = 1e12;  // 30,000 years; sums of two stay finite

const std::array<std::string, kOpTypeCount> kOpTypeNames = {
    "forward-compute",
    "backward-compute",
    "forward-send",
    "forward-recv",
    "backward-send",
    "backward-recv",
    "params-all-gather",
    "gc",
    "layernorm-grads-all-reduce",
    "embedding-grads-all-reduce",
    "grads-reduce-scatter",
    "separate-grads-all-reduce",
    "optimizer-clip-main-grad",
    "optimizer",
};

enum Column : std::size_t {
  kDataRank,
  kStage,
  kRank,
  kStep,
  kOpType,
  kStart,
  kDuration,
  kSequence,
  kChunk,
  kMicroBatch,
  kGlobalChunk,
  kColumnCount,
};

const std::array<std::string, kColumnCount> kColumnNames = {
    "dp_rank",  "stage",  "rank", "step",  "optype", "start_ts",
    "duration", "seq_id", "mc",   "mb_id", "gmc",
};

template <std::size_t N>
std::string suggestion(std::string_view word, const std::array<std::string, N>& known) {
  const auto nearest = nearest_spelling(word, known.data(), known.size());
  return nearest ? fmt::format(", did you mean \"{}\"?", *nearest) : "";
}

std::string_view short_quote(std::string_view text) { return text.substr(0, kLongestQuote); }

void split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
}

class RowParser {
 public:
  RowParser(std::string_view header, std::string where) : where_(std::move(where)) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (header.starts_with(kByteOrderMark)) header.remove_prefix(kByteOrderMark.size());
    split(header, fields_);
    width_ = fields_.size();
    for (std::size_t column = 0; column < kColumnCount; ++column) {
      const auto found = std::find(fields_.begin(), fields_.end(), kColumnNames[column]);
      if (found == fields_.end()) refuse_header(kColumnNames[column]);
      if (std::find(found + 1, fields_.end(), kColumnNames[column]) != fields_.end()) {
        fail(1, fmt::format("column \"{}\" stands twice", kColumnNames[column]));
      }
      position_[column] = static_cast<std::size_t>(found - fields_.begin());
    }
  }

  [[nodiscard]] TraceRow parse(std::string_view line, std::int64_t number) {
    split(line, fields_);
    if (fields_.size() != width_) {
      fail(number,
           fmt::format("expected {} fields as in the header, saw {}", width_, fields_.size()));
    }
    TraceRow row;
    row.line = number;
    row.data_rank = integer<std::int32_t>(kDataRank, number, 0);
    row.stage = integer<std::int32_t>(kStage, number, 0);
    row.rank = integer<std::int64_t>(kRank, number, 0);
    row.step = integer<std::int64_t>(kStep, number, 0);
    row.type = op_type(number);
    row.start = seconds(kStart, number);
    row.duration = seconds(kDuration, number);
    if (row.duration < Seconds(0)) {
      fail(number, fmt::format("duration: expected 0 s or more, saw {}", field(kDuration)));
    }
    row.sequence = integer<std::int32_t>(kSequence, number, 0);
    row.chunk = optional_index(kChunk, number);
    row.micro_batch = optional_index(kMicroBatch, number);
    row.global_chunk = optional_index(kGlobalChunk, number);
    return row;
  }

 private:
  [[noreturn]] void fail(std::int64_t number, const std::string& message) const {
    throw Error(ErrorKind::kInput, fmt::format("{}:{}", where_, number), message);
  }

  [[noreturn]] void refuse_header(const std::string& missing) const {
    std::vector<std::string> seen;
    for (const std::string_view name : fields_) seen.emplace_back(short_quote(name));
    const auto nearest = nearest_spelling(missing, seen.data(), seen.size());
    fail(1, fmt::format("no column \"{}\"{}; expected {}", missing,
                        nearest ? fmt::format(" (is it \"{}\"?)", *nearest) : "",
                        fmt::join(kColumnNames, ", ")));
  }

  [[nodiscard]] std::string_view field(Column column) const { return fields_[position_[column]]; }

  template <class Integer>
  [[nodiscard]] Integer integer(Column column, std::int64_t number, Integer low) const {
    const std::string_view text = field(column);
    Integer value{};
    const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || stop != text.data() + text.size() || value < low) {
      fail(number, fmt::format("{}: expected an integer of at least {}, saw \"{}\"",
                               kColumnNames[column], low, short_quote(text)));
    }
    return value;
  }

  // Empty and −1: none.
  [[nodiscard]] std::int32_t optional_index(Column column, std::int64_t number) const {
    return field(column).empty() ? -1 : integer<std::int32_t>(column, number, -1);
  }

  [[nodiscard]] Seconds seconds(Column column, std::int64_t number) const {
    const std::string_view text = field(column);
    double value = 0.0;
    const auto [stop, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || stop != text.data() + text.size() ||
        !(std::abs(value) <= kLargestTime)) {
      fail(number, fmt::format("{}: expected a finite number of seconds, saw \"{}\"",
                               kColumnNames[column], short_quote(text)));
    }
    return Seconds(value);
  }

  [[nodiscard]] OpType op_type(std::int64_t number) const {
    const std::string_view text = field(kOpType);
    const auto found = std::find(kOpTypeNames.begin(), kOpTypeNames.end(), text);
    if (found == kOpTypeNames.end()) {
      fail(number, fmt::format("unknown optype \"{}\"{}; known: {}", short_quote(text),
                               suggestion(text, kOpTypeNames), fmt::join(kOpTypeNames, ", ")));
    }
    return static_cast<OpType>(found - kOpTypeNames.begin());
  }

  std::string where_;
  std::size_t width_ = 0;
  std::array<std::size_t, kColumnCount> position_{};
  std::vector<std::string_view> fields_;
};

}  // namespace

std::string_view name_of(OpType type) { return kOpTypeNames[static_cast<std::size_t>(type)]; }

std::vector<TraceRow> read_trace_rows(std::istream& in, const std::string& where) {
  TraceLines lines(in, where);
  std::string_view line;
  if (!lines.next(line)) throw Error(ErrorKind::kInput, where, "empty; expected a CSV header");
  RowParser parser(line, where);
  std::vector<TraceRow> rows;
  while (lines.next(line)) {
    if (line.empty()) continue;
    if (rows.size() == kMostRows) {
      throw Error(ErrorKind::kInput, fmt::format("{}:{}", where, lines.number()),
                  fmt::format("more than {} rows; keep fewer steps", kMostRows));
    }
    rows.push_back(parser.parse(line, lines.number()));
  }
  if (rows.empty()) throw Error(ErrorKind::kInput, where, "no rows after the header");
  return rows;
}

}  // namespace lindos::sim
