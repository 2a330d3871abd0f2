// SPDX-License-Identifier: Apache-2.0
#include "scenarios/lengths_toml.h"

#include <algorithm>
#include <string>
#include <vector>

#include "scenarios/scenario_toml.h"
#include "scenarios/trace_lengths.h"

namespace lindos {
namespace {

// Of rows; a folder of clients has none.
TraceFormat read_row_format(const TomlTable& table) {
  return static_cast<TraceFormat>(table.choice("format", {"azure", "burstgpt", "mooncake", "csv", "jsonl"}));
}

LengthRange read_shaped_length(const TomlTable& table, bool prompt, const std::filesystem::path& base) {
  if (table.has("quantiles")) {
    table.allow({"quantiles"});
    const auto quantiles = table.integers("quantiles", 1, kMaxTokens);
    if (quantiles.size() < 2 || !std::is_sorted(quantiles.begin(), quantiles.end()))
      table.fail("quantiles", "expected two or more lengths in ascending order");
    return {quantiles.front(), quantiles.back(), 0.0, 0.0, quantiles};
  }
  if (table.has("trace")) {
    table.allow({"trace", "format"});
    const TraceLengths lengths = fit_lengths(path_of(table, "trace", base), read_row_format(table));
    return prompt ? lengths.prompt : lengths.output;
  }
  table.allow({"median", "sigma", "low", "high"});
  LengthRange range;
  range.low = table.integer_or("low", 1, 1, kMaxTokens);
  range.high = table.integer("high", range.low, kMaxTokens);
  range.median = table.number("median", 1.0, static_cast<double>(kMaxTokens));
  constexpr double kWidest = 10.0;
  range.sigma = table.number("sigma", 0.0, kWidest);
  return range;
}

}  // namespace

std::filesystem::path path_of(const TomlTable& table, std::string_view key, const std::filesystem::path& base) {
  return (base / table.text(key)).lexically_normal();
}

LengthRange read_length(const TomlTable& table, std::string_view key, const std::filesystem::path& base) {
  if (table.is_table(key)) return read_shaped_length(table.table(key), key == "prompt", base);
  if (!table.is_array(key)) {
    const std::int64_t tokens = table.integer(key, 1, kMaxTokens);
    return {tokens, tokens, 0.0, 0.0, {}};
  }
  const auto bounds = table.integers(key, 1, kMaxTokens);
  if (bounds.size() != 2 || bounds[0] > bounds[1]) {
    table.fail(key, "expected a length such as 128 or a range [low, high] such as [64, 128]");
  }
  return {bounds[0], bounds[1], 0.0, 0.0, {}};
}

void read_shared_prefix(const TomlTable& table, std::int64_t shortest, std::int64_t& shared, std::int64_t& groups) {
  if (!table.has("shared_prefix")) {
    if (table.has("prefix_groups")) table.fail("prefix_groups", "groups of what? give shared_prefix, in tokens");
    return;
  }
  shared = table.integer("shared_prefix", 1, kMaxTokens);
  if (shared >= shortest) {
    table.fail("shared_prefix", "must be below the shortest prompt of " + std::to_string(shortest) + " tokens, saw " +
                                    std::to_string(shared));
  }
  constexpr std::int64_t kMostGroups = 1'000'000;
  groups = table.integer_or("prefix_groups", 1, 1, kMostGroups);
}

void write_length(TomlText& out, std::string_view key, const LengthRange& range) {
  if (!range.quantiles.empty()) {
    std::string list;
    for (const std::int64_t v : range.quantiles) list += (list.empty() ? "" : ", ") + std::to_string(v);
    out.raw(key, "{ quantiles = [" + list + "] }");
  } else if (range.median > 0.0) {
    out.raw(key, "{ median = " + toml_number(range.median) + ", sigma = " + toml_number(range.sigma) + ", low = " +
                     std::to_string(range.low) + ", high = " + std::to_string(range.high) + " }");
  } else if (range.low == range.high) {
    out.integer(key, range.low);
  } else {
    out.integers(key, std::vector<std::int64_t>{range.low, range.high});
  }
}

}  // namespace lindos
