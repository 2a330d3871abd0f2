// SPDX-License-Identifier: Apache-2.0
// Internal to the trace reader: one line of a trace as the values of the columns that count, whatever its syntax.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lindos {

// The columns that the simulator reads.
enum class TraceColumn { kArrival, kPrompt, kOutput, kId, kBlocks, kTenant };
inline constexpr std::size_t kTraceColumns = 6;

// How one format names them; an empty name: the format has no such column, or nobody wants it. A line without arrival,
// prompt, output or a tenant that is wanted is no row.
using TraceColumnNames = std::array<std::string_view, kTraceColumns>;

// Texts of the values of one line; nothing for an absent column. Borrowed from the line or the parser.
struct TraceFields {
  std::array<std::optional<std::string_view>, kTraceColumns> text;
  std::vector<std::uint64_t> blocks;  // of kBlocks
  [[nodiscard]] const std::optional<std::string_view>& at(TraceColumn column) const {
    return text[static_cast<std::size_t>(column)];
  }
};

class TraceColumns {
 public:
  // A complaint about the line at hand; does not return.
  using Fail = std::function<void(const std::string& message)>;
  virtual ~TraceColumns() = default;
  // False for a line that holds no row: a header.
  [[nodiscard]] virtual bool parse(std::string_view line, TraceFields& fields, const Fail& fail) = 0;
};

// Comma-separated with a header; a field may stand in double quotes, which may be doubled inside.
[[nodiscard]] std::unique_ptr<TraceColumns> csv_columns(const TraceColumnNames& names);
// One JSON object per line; other keys than the names are skipped.
[[nodiscard]] std::unique_ptr<TraceColumns> json_columns(const TraceColumnNames& names);

}  // namespace lindos
