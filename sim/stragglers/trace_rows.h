// SPDX-License-Identifier: Apache-2.0
// Rows of a recorded op trace (CSV, plain or gzip), one per op of one rank and step: the format of
// ByteDance-Seed/StragglerAnalysis. Columns by name, in any order, others ignored:
//   dp_rank, stage, rank, step, optype, start_ts, duration (s), seq_id, mc, mb_id, gmc
// One recorded rank stands for its tensor group. start_ts counts from any origin common to a step.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/units.h"

namespace lindos::sim {

enum class OpType {
  kForwardCompute,
  kBackwardCompute,
  kForwardSend,
  kForwardRecv,
  kBackwardSend,
  kBackwardRecv,
  kParamsAllGather,
  kGc,  // garbage collection of the host
  kLayernormGradsAllReduce,
  kEmbeddingGradsAllReduce,
  kGradsReduceScatter,
  kSeparateGradsAllReduce,
  kOptimizerClipMainGrad,
  kOptimizer,
};
inline constexpr std::size_t kOpTypeCount = 14;

// As the trace spells it: "forward-compute", "grads-reduce-scatter", …
[[nodiscard]] std::string_view name_of(OpType type);

struct TraceRow {
  OpType type = OpType::kForwardCompute;
  std::int32_t data_rank = 0;
  std::int32_t stage = 0;
  std::int32_t sequence = 0;       // among the ops of its type, rank and step, by start
  std::int32_t chunk = -1;         // virtual stage inside the stage; −1 = the op has none
  std::int32_t global_chunk = -1;  // virtual stage of the model
  std::int32_t micro_batch = -1;
  std::int64_t rank = 0;
  std::int64_t step = 0;
  Seconds start{0};
  Seconds duration{0};
  std::int64_t line = 0;
  [[nodiscard]] Seconds end() const { return start + duration; }
};

// Throws Error{kInput} at `where`:line for a missing column, a field that is no finite number, a
// negative duration or index, and an unknown op type; for a broken gzip stream; for no rows or more
// than 20 million of them.
[[nodiscard]] std::vector<TraceRow> read_trace_rows(std::istream& in, const std::string& where);

}  // namespace lindos::sim
