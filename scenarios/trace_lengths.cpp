// SPDX-License-Identifier: Apache-2.0
#include "scenarios/trace_lengths.h"

#include <fstream>
#include <map>

#include "scenarios/error.h"
#include "scenarios/request_trace.h"

namespace lindos {

namespace {

// How often each length occurs: bounded by the lengths there are, not by the rows.
using Counts = std::map<std::int64_t, std::int64_t>;

LengthRange quantiles_of(const Counts& counts, std::int64_t rows) {
  constexpr std::int64_t kSteps = 64;
  LengthRange range;
  auto at = counts.begin();
  std::int64_t seen = at->second;  // rows up to and with `at`
  for (std::int64_t step = 0; step <= kSteps; ++step) {
    const std::int64_t rank = (rows - 1) * step / kSteps;
    while (seen <= rank) seen += (++at)->second;
    range.quantiles.push_back(at->first);
  }
  range.low = range.quantiles.front();
  range.high = range.quantiles.back();
  return range;
}

}  // namespace

TraceLengths fit_lengths(const std::filesystem::path& path, TraceFormat format) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ErrorKind::kInput, path.string(), "cannot be opened as a trace");
  TraceReader reader(in, format, path.string());
  Counts prompts;
  Counts outputs;
  std::int64_t rows = 0;
  while (const std::optional<TraceRow> row = reader.next()) {
    ++prompts[row->prompt_tokens];
    ++outputs[row->output_tokens];
    ++rows;
  }
  if (rows == 0) throw Error(ErrorKind::kInput, path.string(), "the trace has no requests");
  return {quantiles_of(prompts, rows), quantiles_of(outputs, rows)};
}

}  // namespace lindos
