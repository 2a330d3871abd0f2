// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "cli/import/import.h"
#include "scenarios/error.h"

namespace lindos::cli {

ImportedRows fit_llama_bench(const std::vector<data::LlamaBenchRow>& rows, const std::string& where,
                             const Scenario& scenario) {
  const ServingWorkload& serving = scenario.workload.serving;
  if (scenario.workload.kind != WorkloadKind::kServing || serving.requests != 1 ||
      serving.prompt.low != serving.prompt.high || serving.output.low != serving.output.high) {
    throw Error(ErrorKind::kInput, scenario.name,
                "llama-bench times one sequence; its record joins scenarios of one request: "
                "[workload] requests = 1, and prompt and "
                "output with both ends equal");
  }
  const std::int64_t prompt = serving.prompt.low;
  const std::int64_t output = serving.output.low;
  ImportedRows out;
  const auto take = [&](const data::LlamaBenchRow& row, const char* metric, double mean,
                        double deviation) {
    out.means.push_back({metric, mean, deviation});
    out.started_utc = row.started_utc;
    out.build = row.build;
    out.hardware = row.hardware;
  };
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const data::LlamaBenchRow& row = rows[i];
    const auto generated = static_cast<double>(row.generated);
    if (row.generated == 0 && row.prompt == prompt && row.depth == 0) {
      take(row, "ttft_s", row.seconds, row.spread);
    } else if (row.prompt == 0 && row.generated == output && row.depth == prompt) {
      take(row, "tpot_s", row.seconds / generated, row.spread / generated);
    } else if (row.prompt == prompt && row.generated == output && row.depth == 0) {
      const double rate = generated / row.seconds;
      take(row, "e2e_latency_s", row.seconds, row.spread);
      take(row, "output_tokens_per_s", rate, rate * row.spread / row.seconds);
    } else {
      out.unused.push_back(fmt::format("row {}: {} prompt, {} generated tokens at depth {}", i + 1,
                                       row.prompt, row.generated, row.depth));
    }
  }
  if (out.means.empty()) {
    throw Error(ErrorKind::kInput, where,
                fmt::format("none of its {} rows times {} prompt or {} output tokens; run "
                            "llama-bench -p {} -n 0, then -p 0 -n {} -d {}, "
                            "then -pg {},{}",
                            rows.size(), prompt, output, prompt, output, prompt, prompt, output));
  }
  return out;
}

}  // namespace lindos::cli
