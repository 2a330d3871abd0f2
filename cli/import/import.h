// SPDX-License-Identifier: Apache-2.0
// What other tools measured, as records and samples of this one. Pure: texts in, values out. A file
// whose workload is not the scenario's is refused: its record would be joined with a prediction of
// something else.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "data/llama_bench.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"

namespace lindos::cli {

// One run of the scenario's workload.
struct ImportedRun {
  std::map<std::string, double> metrics;  // by registry name, in its unit
  std::string started_utc;                // ISO 8601
};

// JSON of `vllm bench serve --save-result`. Throws Error{kInput} naming the JSON pointer, or what
// of the workload differs and how the scenario would say it.
[[nodiscard]] ImportedRun read_vllm_bench(std::string_view text, const std::string& where,
                                          const Scenario& scenario);

// Mean and spread of one metric, from one row.
struct ImportedMean {
  std::string metric;      // registry name
  double mean = 0.0;       // in its unit
  double deviation = 0.0;  // standard deviation over repetitions, in its unit
};

struct ImportedRows {
  std::vector<ImportedMean> means;
  std::vector<std::string> unused;  // "row 3: …, because …"
  std::string started_utc, build, hardware;
};

// Rows that time what the scenario asks: one request of P prompt and G output tokens. Of P tokens:
// TTFT; of G tokens at depth P: TPOT; of P then G: latency and tokens/s. Throws Error{kInput} for
// another kind of workload and when no row fits.
[[nodiscard]] ImportedRows fit_llama_bench(const std::vector<data::LlamaBenchRow>& rows,
                                           const std::string& where, const Scenario& scenario);

struct NcclTests {
  std::vector<CollectiveSample> samples;  // the faster of out of place and in place
  std::string version;                    // of NCCL: "2.28.9"
  std::string date;                       // ISO date of the run
  std::string device;                     // what the driver calls the GPUs
};

// JSON of nccl-tests (all_reduce_perf -J FILE, and its siblings), file version 1 and 2. Throws
// Error{kInput} naming the JSON pointer for another test, wrong results, times that are none.
[[nodiscard]] NcclTests read_nccl_tests(std::string_view text, const std::string& where);

}  // namespace lindos::cli
