// SPDX-License-Identifier: Apache-2.0
// Published training results, one per row of a CSV file with a header (quotes as in RFC 4180):
//   group, id, model, gpu, n_gpus, precision, gbs, mbs, seq_len, TP, PP, CP, VP, DP, EP, FSDP,
//   recompute, step_time_s, tokens_per_s, software, strict
// Columns by name, in any order, others ignored. An empty field is "not stated"; what a row does
// not state its source's software decides (published_scenario.h). Plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/units.h"

namespace lindos::sim {

struct PublishedRow {
  std::string where;  // file:line
  std::string id;
  std::string group;  // rows of one source and software: the family of the statistics
  std::string software;
  std::string model;
  std::string gpu;
  std::string precision;  // "bf16", "fp8", "FP8-CS", …
  std::string recompute;
  std::string sharding;  // column FSDP: "", "0", a degree, "FULL_SHARD", "SHARD_GRAD_OP"
  std::string grade;     // column strict: "A" = fully specified, "A-" = but for what is derived
  std::optional<std::int64_t> devices;
  std::optional<std::int64_t> global_batch;  // sequences
  std::optional<std::int64_t> sequence;
  std::optional<std::int64_t> micro_batch;
  std::optional<std::int64_t> tensor, pipeline, context, chunks, data, expert;
  std::optional<Seconds> step;
  std::optional<double> tokens_per_second;  // of all devices

  [[nodiscard]] bool strict() const { return !grade.empty() && grade.front() == 'A'; }
  // As stated, or from the tokens per second; nothing when the row has neither.
  [[nodiscard]] std::optional<Seconds> step_time() const;
};

// Throws Error{kInput} at `where`:line for a missing column (with the nearest that stands there), a
// quote that does not end, a row with more or fewer fields than the header, a degree, batch or
// length that is no whole number above 0, and a time that is no number above 0.
[[nodiscard]] std::vector<PublishedRow> parse_published_rows(std::string_view text,
                                                             const std::string& where);
[[nodiscard]] std::vector<PublishedRow> read_published_rows(const std::filesystem::path& path);

}  // namespace lindos::sim
