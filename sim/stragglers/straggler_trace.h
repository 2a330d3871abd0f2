// SPDX-License-Identifier: Apache-2.0
// A recorded training job as a grid: every step of every data-parallel rank holds the same ops, so
// that each op is one row of times over (data rank, step), its lanes. Plain value; seconds.
//
//   const StragglerTrace trace = read_straggler_trace("trace-AR.csv.gz", {});
#pragma once

#include <cstdint>
#include <filesystem>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/units.h"
#include "sim/stragglers/trace_rows.h"

namespace lindos::sim {

// What is known of the job beside its trace; what is absent is taken from the rows, which cannot
// show that the last rank, stage or chunk is missing.
struct TraceDegrees {
  std::optional<int> data;
  std::optional<int> pipeline;
  std::optional<int> virtual_stages;
  std::string source;  // who says so, for complaints: "meta-AR.yaml", "the command line"
  bool operator==(const TraceDegrees&) const = default;
};

struct TracedOp {
  OpType type = OpType::kForwardCompute;
  int stage = 0;
  int sequence = 0;
  int chunk = -1;  // −1: none
  int global_chunk = -1;
};

struct StragglerTrace {
  std::string where;
  int data = 1;
  int pipeline = 1;
  int virtual_stages = 1;
  std::int64_t micro_batches = 1;   // per data rank and step
  std::vector<std::int64_t> steps;  // ascending
  std::vector<std::int64_t> ranks;  // [data rank · pipeline + stage], as recorded
  std::vector<TracedOp> ops;        // of one data rank and step, by stage, type, sequence
  // [op · lanes + lane], lane = data rank · steps + index of the step.
  std::vector<Seconds> start;
  std::vector<Seconds> duration;
  std::vector<std::int64_t> line;

  [[nodiscard]] std::size_t lanes() const { return static_cast<std::size_t>(data) * steps.size(); }
  [[nodiscard]] std::size_t rows() const { return line.size(); }
  [[nodiscard]] Seconds end(std::size_t op, std::size_t lane) const {
    return start[op * lanes() + lane] + duration[op * lanes() + lane];
  }
  // "forward-compute 3 of stage 1".
  [[nodiscard]] std::string label(std::size_t op) const;
  // "data rank 1, step 17".
  [[nodiscard]] std::string lane_label(std::size_t lane) const;
  // Throws Error{kInput} at the line of this op.
  [[noreturn]] void fail(std::size_t op, std::size_t lane, const std::string& message) const;
};

// Besides what read_trace_rows() refuses, throws Error{kInput} for a rank, stage, step, op or
// micro-batch that is missing, rows that stand twice, sequences that go back in time, and degrees
// that the rows contradict.
[[nodiscard]] StragglerTrace parse_straggler_trace(std::istream& in, const std::string& where,
                                                   const TraceDegrees& degrees);
[[nodiscard]] StragglerTrace read_straggler_trace(const std::filesystem::path& path,
                                                  const TraceDegrees& degrees);

}  // namespace lindos::sim
