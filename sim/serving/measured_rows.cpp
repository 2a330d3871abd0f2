// SPDX-License-Identifier: Apache-2.0
#include "sim/serving/measured_rows.h"

#include <algorithm>
#include <utility>

#include "scenarios/csv_reader.h"
#include "scenarios/error.h"
#include "scenarios/text_file.h"

namespace lindos::sim {

namespace {

constexpr double kSecondsPerMillisecond = 1e-3;
// What InferenceX (InferenceMAX) runs, whose rows of the published points carry a date: README of its benchmark client,
// RANDOM_RANGE_RATIO and --max-num-batched-tokens.
constexpr double kInferenceXShortest = 0.8;
constexpr std::int64_t kInferenceXBatchedTokens = 8192;

// `prefix` is "", "prefill_" or "decode_".
MeasuredWorkers workers_of(const CsvTable& table, const std::string& prefix) {
  const auto stated = [&](const std::string& name) { return table.count(prefix + name, 0).value_or(0); };
  const auto degree = [&](const std::string& name) { return std::max<std::int64_t>(1, stated(name)); };
  MeasuredWorkers workers;
  workers.workers = degree("num_workers");
  workers.workers_stated = prefix.empty() || stated("num_workers") > 0;
  workers.batch = table.count(prefix + "batch_size");
  workers.tensor = degree("tp_size");
  workers.stages = degree("pp_size");
  workers.attention_replicas = degree("attention_dp_size");
  workers.expert_tensor = degree("moe_tp_size");
  workers.expert_ranks = degree("moe_ep_size");
  return workers;
}

std::optional<Seconds> milliseconds(const CsvTable& table, std::string_view column) {
  const std::optional<double> value = table.number(column);
  return value ? std::optional(Seconds(*value * kSecondsPerMillisecond)) : std::nullopt;
}

std::int64_t length(const CsvTable& table, std::string_view column) {
  const std::optional<std::int64_t> tokens = table.count(column);
  if (tokens) return *tokens;
  throw Error(ErrorKind::kInput, table.where(), std::string(column) + ": expected a number of tokens, saw none");
}

// Of lengths, in (0, 1].
double share(const CsvTable& table, std::string_view column, double otherwise) {
  const double stated = table.number(column).value_or(otherwise);
  if (stated <= 1.0) return stated;
  throw Error(ErrorKind::kInput, table.where(), std::string(column) + ": expected a share of at most 1, saw \"" +
                                                    std::string(table.text(column)) + "\"");
}

}  // namespace

std::string MeasuredRow::family() const {
  const std::size_t owner = model.find_last_of('/');
  return system + " · " + (owner == std::string::npos ? model : model.substr(owner + 1)) + " · " +
         (gemm_format.empty() ? "as stored" : gemm_format) + " · " + engine;
}

std::vector<MeasuredRow> parse_measured_rows(std::string_view text, const std::string& where) {
  CsvTable table(where, text,
                 {"concurrency", "backend", "model_path", "system", "mode", "isl", "osl", "gemm_quant_mode",
                  "moe_quant_mode", "silicon_ttft_ms", "silicon_tpot_ms"});
  std::vector<MeasuredRow> rows;
  while (table.next()) {
    MeasuredRow row;
    row.where = table.where();
    row.engine = table.text("backend");
    row.model = table.text("model_path");
    row.system = table.text("system");
    row.gemm_format = table.text("gemm_quant_mode");
    row.expert_format = table.text("moe_quant_mode");
    row.prompt = length(table, "isl");
    row.output = length(table, "osl");
    row.inference_x = !table.text("measured").empty();
    row.aiconfigurator = table.has("measured") && !row.inference_x;
    row.shortest = share(table, "length_ratio", row.inference_x ? kInferenceXShortest : 1.0);
    row.batched_tokens = table.count("max_batched_tokens");
    if (!row.batched_tokens && row.inference_x) row.batched_tokens = kInferenceXBatchedTokens;
    row.concurrency = table.count("concurrency");
    const std::string_view mode = table.text("mode");
    if (mode == "agg") {
      row.aggregated = workers_of(table, "");
    } else if (mode == "disagg") {
      row.prefill = workers_of(table, "prefill_");
      row.decode = workers_of(table, "decode_");
    } else {
      throw Error(ErrorKind::kInput, row.where, "mode: expected agg or disagg, saw \"" + std::string(mode) + "\"");
    }
    row.ttft = milliseconds(table, "silicon_ttft_ms");
    row.tpot = milliseconds(table, "silicon_tpot_ms");
    rows.push_back(std::move(row));
  }
  return rows;
}

std::vector<MeasuredRow> read_measured_rows(const std::filesystem::path& path) {
  return parse_measured_rows(read_text_file(path, path.string()), path.string());
}

}  // namespace lindos::sim
