// SPDX-License-Identifier: Apache-2.0
// Results of llama.cpp's benchmark, as `llama-bench -o sql` writes them: CREATE TABLE test and
// INSERTs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lindos::data {

// One row: the time of `prompt` tokens computed at once, then `generated` tokens one by one, after
// `depth` cached ones.
struct LlamaBenchRow {
  std::string build;        // commit and number: "8cf427ff (5163)"
  std::string model;        // file or type
  std::string hardware;     // GPUs, or the CPU
  std::string started_utc;  // ISO 8601
  std::int64_t prompt = 0;
  std::int64_t generated = 0;
  std::int64_t depth = 0;  // 0 in files of builds without the column
  double seconds = 0.0;    // mean over the repetitions
  double spread = 0.0;     // standard deviation of the repetitions, seconds
};

// The statements run in a database of their own in memory that may do nothing but create and fill
// the table "test". Throws Error{kInput} with file:line:column for other or broken statements,
// missing columns, values that are no measurement.
[[nodiscard]] std::vector<LlamaBenchRow> read_llama_bench(std::string_view sql,
                                                          const std::string& where);

}  // namespace lindos::data
