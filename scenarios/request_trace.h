// SPDX-License-Identifier: Apache-2.0
// Recorded requests as a workload: when each arrived and how many tokens it read and wrote. Formats of public traces
// and a plain one; a file may be gzip-compressed. docs/serving.md describes each.
//
//   azure     CSV: TIMESTAMP (date and time), ContextTokens, GeneratedTokens
//   burstgpt  CSV: Timestamp (s), Request tokens, Response tokens; no response = a failed request, which is left out
//   mooncake  JSON lines: timestamp (ms), input_length, output_length, hash_ids (one per 512 tokens of the prompt)
//   csv       CSV: arrival_s, prompt_tokens, output_tokens; may have id, ascending, and tenant
//   jsonl     JSON lines with the keys of csv
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/trace_format.h"

namespace lindos {

// Of Mooncake's traces.
inline constexpr std::int64_t kTraceBlockTokens = 512;

struct TraceRow {
  std::int64_t arrival_ns = 0;      // since the first row
  std::int64_t prompt_tokens = 0;
  std::int64_t output_tokens = 0;
  std::vector<std::uint64_t> blocks = {};  // ids of the prompt's blocks of kTraceBlockTokens; empty = not recorded
  std::uint32_t tenant = 0;         // position in the names that the reader was given
  bool operator==(const TraceRow&) const = default;
};

// Reads row by row in memory that does not grow with the file. Throws Error{kInput} with file:line for what is not a
// row of the format: a missing column, a number that is none, too large or negative, a time before the last one's, a
// row twice (formats whose times tell rows apart), a tenant that nobody knows, a gzip stream cut short.
class TraceReader {
 public:
  // `where` names the text in complaints. Borrows `in`, which must be open in binary mode. With `tenants` every row must
  // name one of them. REQUIRES: a format of rows; one that names tenants where there are any.
  TraceReader(std::istream& in, TraceFormat format, std::string where, std::vector<std::string> tenants = {});
  ~TraceReader();
  TraceReader(const TraceReader&) = delete;
  TraceReader& operator=(const TraceReader&) = delete;

  // Nothing at the end.
  [[nodiscard]] std::optional<TraceRow> next();
  // "file:line" of the row that next() gave last.
  [[nodiscard]] std::string where() const;
  // Failed requests that were left out so far.
  [[nodiscard]] std::int64_t left_out() const;
  // 128-bit xxHash of the lines read so far, hex: the same packed or plain, with either kind of line ends.
  [[nodiscard]] std::string digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// What a scan of the whole file says. REQUIRES of a scenario: at least one row.
struct TraceSummary {
  std::int64_t rows = 0;
  std::int64_t left_out = 0;
  std::int64_t shortest_prompt = 0, longest_prompt = 0;
  std::int64_t shortest_output = 0, longest_output = 0;
  std::int64_t longest = 0;         // prompt and output together
  std::int64_t span_ns = 0;         // from the first arrival to the last
  std::string digest;
  bool operator==(const TraceSummary&) const = default;
};

// Throws as TraceReader, for a file without rows and for a row of more than `max_tokens` in all (0 = any).
[[nodiscard]] TraceSummary scan_trace(const std::filesystem::path& path, TraceFormat format,
                                      std::int64_t max_tokens, const std::vector<std::string>& tenants = {});

}  // namespace lindos
