// SPDX-License-Identifier: Apache-2.0
#include "scenarios/request_trace.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>

#include <xxhash.h>

#include "scenarios/error.h"
#include "scenarios/json_reader.h"
#include "scenarios/trace_columns.h"
#include "scenarios/trace_lines.h"
#include "scenarios/trace_time.h"

namespace lindos {

namespace {

constexpr std::int64_t kMostTokens = 1'000'000'000;
// A prompt of a million tokens has 2,000 block ids of up to 20 digits.
constexpr std::size_t kLongestLine = 256 * 1024;

enum class TimeKind { kDate, kSeconds, kMilliseconds };

struct Dialect {
  std::string_view name;
  bool json = false;
  TraceColumnNames columns;  // arrival, prompt, output, id, blocks, tenant
  TimeKind time = TimeKind::kSeconds;
  bool times_tell_apart = false;  // fine enough that the same row twice is a mistake
  bool has_failures = false;      // no output = a failed request
};

constexpr Dialect kDialects[] = {
    {"azure", false, {"TIMESTAMP", "ContextTokens", "GeneratedTokens", "", "", ""}, TimeKind::kDate, true, false},
    {"burstgpt", false, {"Timestamp", "Request tokens", "Response tokens", "", "", ""}, TimeKind::kSeconds, false, true},
    {"mooncake", true, {"timestamp", "input_length", "output_length", "", "hash_ids", ""}, TimeKind::kMilliseconds,
     false, false},
    {"csv", false, {"arrival_s", "prompt_tokens", "output_tokens", "id", "", "tenant"}, TimeKind::kSeconds, false, false},
    {"jsonl", true, {"arrival_s", "prompt_tokens", "output_tokens", "id", "", "tenant"}, TimeKind::kSeconds, false, false},
};

const Dialect& dialect_of(TraceFormat format) { return kDialects[static_cast<std::size_t>(format)]; }

std::string expected_time(TimeKind kind) {
  switch (kind) {
    case TimeKind::kDate: return "a date and time such as \"2023-11-16 18:17:03.9799600\"";
    case TimeKind::kSeconds: return "seconds such as 12.5";
    case TimeKind::kMilliseconds: return "milliseconds such as 12500";
  }
  return "";
}

std::optional<std::int64_t> parse_time(TimeKind kind, std::string_view text) {
  switch (kind) {
    case TimeKind::kDate: return parse_trace_date(text);
    case TimeKind::kSeconds: return parse_trace_units(text, 1'000'000'000);
    case TimeKind::kMilliseconds: return parse_trace_units(text, 1'000'000);
  }
  return std::nullopt;
}

class TextHash {
 public:
  TextHash() : state_(XXH3_createState()) { XXH3_128bits_reset(state_); }
  ~TextHash() { XXH3_freeState(state_); }
  TextHash(const TextHash&) = delete;
  TextHash& operator=(const TextHash&) = delete;
  void add(std::string_view line) {
    XXH3_128bits_update(state_, line.data(), line.size());
    XXH3_128bits_update(state_, "\n", 1);
  }
  [[nodiscard]] std::string hex() const {
    XXH128_canonical_t bytes;
    XXH128_canonicalFromHash(&bytes, XXH3_128bits_digest(state_));
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : bytes.digest) {
      text += kDigits[byte >> 4U];
      text += kDigits[byte & 0xFU];
    }
    return text;
  }

 private:
  XXH3_state_t* state_;
};

}  // namespace

std::string_view name_of(TraceFormat format) {
  return format == TraceFormat::kServegen ? "servegen" : dialect_of(format).name;
}

struct TraceReader::State {
  State(std::istream& in, TraceFormat format, std::string name, std::vector<std::string> names)
      : dialect(dialect_of(format)), where(std::move(name)), lines(in, where, kLongestLine),
        tenants(std::move(names)) {
    TraceColumnNames wanted = dialect.columns;
    if (tenants.empty()) wanted[static_cast<std::size_t>(TraceColumn::kTenant)] = {};
    columns = dialect.json ? json_columns(wanted) : csv_columns(wanted);
  }

  [[noreturn]] void fail(const std::string& message) const {
    throw Error(ErrorKind::kInput, where + ':' + std::to_string(lines.number()), message);
  }
  [[nodiscard]] std::string called(TraceColumn column) const {
    return (dialect.json ? "key \"" : "column \"") +
           std::string(dialect.columns[static_cast<std::size_t>(column)]) + '"';
  }
  [[nodiscard]] std::int64_t count(TraceColumn column, std::int64_t low, std::int64_t high) const;
  [[nodiscard]] std::int64_t arrival();
  void check_id();
  [[nodiscard]] std::vector<std::uint64_t> blocks(std::int64_t prompt) const;
  [[nodiscard]] std::uint32_t tenant() const;

  const Dialect& dialect;
  std::string where;
  TraceLines lines;
  std::vector<std::string> tenants;
  std::unique_ptr<TraceColumns> columns;
  TextHash hash;
  TraceFields fields;
  std::optional<std::int64_t> first_ns;
  std::int64_t last_ns = 0;
  std::string last_text;                // of the last row's time
  std::optional<std::int64_t> last_id;
  std::optional<TraceRow> last_row;
  std::int64_t left_out = 0;
};

std::int64_t TraceReader::State::count(TraceColumn column, std::int64_t low, std::int64_t high) const {
  const std::string_view text = *fields.at(column);
  std::int64_t value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = read.ptr == text.data() + text.size() && !text.empty();
  if (!whole || read.ec != std::errc() || value < low || value > high) {
    const bool number = whole && (read.ec == std::errc() || read.ec == std::errc::result_out_of_range);
    fail(called(column) + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
         ", saw " + (number ? std::string(text) : '"' + std::string(text.substr(0, 40)) + '"'));
  }
  return value;
}

std::int64_t TraceReader::State::arrival() {
  const std::string_view text = *fields.at(TraceColumn::kArrival);
  const std::optional<std::int64_t> ns = parse_time(dialect.time, text);
  if (!ns) {
    fail(called(TraceColumn::kArrival) + ": expected " + expected_time(dialect.time) + ", saw \"" +
         std::string(text.substr(0, 40)) + '"');
  }
  if (dialect.time != TimeKind::kDate && *ns < 0)
    fail(called(TraceColumn::kArrival) + ": " + std::string(text) + " is before the beginning");
  if (first_ns && *ns < last_ns) {
    fail(called(TraceColumn::kArrival) + ": " + std::string(text) + " is before the last row's " + last_text +
         "; sort the trace by time");
  }
  last_ns = *ns;
  last_text = text;
  if (!first_ns) first_ns = ns;
  return *ns - *first_ns;
}

void TraceReader::State::check_id() {
  if (!fields.at(TraceColumn::kId)) return;
  const std::int64_t id = count(TraceColumn::kId, 0, std::numeric_limits<std::int64_t>::max());
  if (last_id && id <= *last_id) {
    fail(called(TraceColumn::kId) + ": " + std::to_string(id) +
         (id == *last_id ? " stands twice"
                         : " after " + std::to_string(*last_id) + ": ids ascend, so that each stands once"));
  }
  last_id = id;
}

std::vector<std::uint64_t> TraceReader::State::blocks(std::int64_t prompt) const {
  if (!fields.at(TraceColumn::kBlocks)) return {};
  const std::int64_t needed = (prompt + kTraceBlockTokens - 1) / kTraceBlockTokens;
  if (std::ssize(fields.blocks) != needed) {
    fail(called(TraceColumn::kBlocks) + ": " + std::to_string(prompt) + " tokens are " + std::to_string(needed) +
         " blocks of " + std::to_string(kTraceBlockTokens) + ", saw " + std::to_string(fields.blocks.size()) + " ids");
  }
  return fields.blocks;
}

std::uint32_t TraceReader::State::tenant() const {
  if (tenants.empty()) return 0;
  const std::string_view name = *fields.at(TraceColumn::kTenant);
  const auto found = std::find(tenants.begin(), tenants.end(), name);
  if (found == tenants.end()) {
    fail(called(TraceColumn::kTenant) + ": the workload has no tenant \"" + std::string(name.substr(0, 60)) + '"' +
         did_you_mean(name, tenants));
  }
  return static_cast<std::uint32_t>(found - tenants.begin());
}

TraceReader::TraceReader(std::istream& in, TraceFormat format, std::string where, std::vector<std::string> tenants)
    : state_(std::make_unique<State>(in, format, std::move(where), std::move(tenants))) {}

TraceReader::~TraceReader() = default;

std::optional<TraceRow> TraceReader::next() {
  State& state = *state_;
  const TraceColumns::Fail fail = [&state](const std::string& message) { state.fail(message); };
  std::string_view line;
  bool blank = false;
  while (state.lines.next(line)) {
    state.hash.add(line);
    if (blank) fail("an empty line before it");
    blank = line.empty();
    if (blank || !state.columns->parse(line, state.fields, fail)) continue;
    TraceRow row;
    row.arrival_ns = state.arrival();
    row.prompt_tokens = state.count(TraceColumn::kPrompt, 1, kMostTokens);
    row.output_tokens = state.count(TraceColumn::kOutput, state.dialect.has_failures ? 0 : 1, kMostTokens);
    state.check_id();
    row.blocks = state.blocks(row.prompt_tokens);
    row.tenant = state.tenant();
    if (row.output_tokens == 0) {
      ++state.left_out;
      continue;
    }
    if (state.dialect.times_tell_apart && state.last_row == row) fail("the same row twice");
    state.last_row = row;
    return row;
  }
  return std::nullopt;
}

std::string TraceReader::where() const {
  return state_->where + ':' + std::to_string(state_->lines.number());
}

std::int64_t TraceReader::left_out() const { return state_->left_out; }

std::string TraceReader::digest() const { return state_->hash.hex(); }

TraceSummary scan_trace(const std::filesystem::path& path, TraceFormat format, std::int64_t max_tokens,
                        const std::vector<std::string>& tenants) {
  std::ifstream in(path, std::ios::binary);
  if (!in || !std::filesystem::is_regular_file(path))
    throw Error(ErrorKind::kInput, path.string(), "cannot be opened as a trace");
  TraceReader reader(in, format, path.string(), tenants);
  TraceSummary summary;
  summary.shortest_prompt = summary.shortest_output = std::numeric_limits<std::int64_t>::max();
  while (const std::optional<TraceRow> row = reader.next()) {
    const std::int64_t tokens = row->prompt_tokens + row->output_tokens;
    if (max_tokens > 0 && tokens > max_tokens) {
      throw Error(ErrorKind::kInput, reader.where(),
                  "prompt and output of " + std::to_string(tokens) + " tokens exceed the model's context of " +
                      std::to_string(max_tokens));
    }
    ++summary.rows;
    summary.shortest_prompt = std::min(summary.shortest_prompt, row->prompt_tokens);
    summary.longest_prompt = std::max(summary.longest_prompt, row->prompt_tokens);
    summary.shortest_output = std::min(summary.shortest_output, row->output_tokens);
    summary.longest_output = std::max(summary.longest_output, row->output_tokens);
    summary.longest = std::max(summary.longest, tokens);
    summary.span_ns = row->arrival_ns;
  }
  if (summary.rows == 0) throw Error(ErrorKind::kInput, path.string(), "the trace has no requests");
  summary.left_out = reader.left_out();
  summary.digest = reader.digest();
  return summary;
}

}  // namespace lindos
