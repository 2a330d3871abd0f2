// SPDX-License-Identifier: Apache-2.0
// Measured serving points, one per row of a CSV file with a header: a model on an engine and a GPU type, a closed loop
// of `concurrency` clients with requests of nominal length isl → osl, and the time to first token and per output token
// in milliseconds. Columns by name, in any order, others ignored; an empty field or a degree of 0 is "not stated".
// docs/serving-accuracy.md has the columns. Plain values.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/units.h"

namespace lindos::sim {

// Equal engine instances: how many, and how each is cut.
struct MeasuredWorkers {
  std::int64_t workers = 1;
  bool workers_stated = true;            // else one is assumed
  std::optional<std::int64_t> batch = std::nullopt;  // most sequences of one instance
  std::int64_t tensor = 1;               // ranks that share the heads of one sequence
  std::int64_t stages = 1;
  std::int64_t attention_replicas = 1;   // attention data parallelism: groups of `tensor` ranks, own sequences
  std::int64_t expert_tensor = 1;        // ranks that share the columns of one expert
  std::int64_t expert_ranks = 1;         // ranks, or such groups of them, that deal the experts out
  bool operator==(const MeasuredWorkers&) const = default;
};

struct MeasuredRow {
  std::string where;         // file:line
  std::string engine;        // "vllm", "sglang", "trtllm"
  std::string model;         // "meta-llama/Llama-3.1-70B", a catalogue name, or a path to a config.json
  std::string system;        // "h100_sxm", or a catalogue name
  std::string gemm_format;   // "fp8", "fp8_block", "nvfp4"; empty = as the checkpoint stores them
  std::string expert_format;
  std::int64_t prompt = 0;   // tokens, nominal
  std::int64_t output = 0;
  double shortest = 1.0;     // lengths are uniform from this share of the nominal ones up to them
  std::optional<std::int64_t> concurrency;
  std::optional<std::int64_t> batched_tokens;  // budget of one step
  bool inference_x = false;  // from the public benchmark of that name, whose command lines are known
  // Or, in a table that dates those: aiconfigurator's own run, whose rules of launching are known.
  bool aiconfigurator = false;
  // One of: aggregated; or prefill and decode.
  std::optional<MeasuredWorkers> aggregated;
  std::optional<MeasuredWorkers> prefill;
  std::optional<MeasuredWorkers> decode;
  std::optional<Seconds> ttft;
  std::optional<Seconds> tpot;
  [[nodiscard]] bool disaggregated() const { return prefill.has_value(); }
  // "h100_sxm · Qwen3-32B · fp8 · trtllm"
  [[nodiscard]] std::string family() const;
};

// The parser proper. Throws Error{kInput} that names line and column for a row that cannot be read; a row that can be
// read but not be predicted is none of its business.
[[nodiscard]] std::vector<MeasuredRow> parse_measured_rows(std::string_view text, const std::string& where);
[[nodiscard]] std::vector<MeasuredRow> read_measured_rows(const std::filesystem::path& path);

}  // namespace lindos::sim
