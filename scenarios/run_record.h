// SPDX-License-Identifier: Apache-2.0
// One result, predicted or measured: the same type for both, so that comparing is a join.
// JSON form as in the design (§5): {"source", "fidelity", "scenario_digest", "plan_digest", "metrics",
// "ledger", "environment"}; metric values in SI units.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/ledger.h"

namespace lindos {

enum class RunSource { kPredicted, kMeasured };

// "predicted", "measured".
[[nodiscard]] std::string_view name_of(RunSource source);
[[nodiscard]] std::optional<RunSource> find_run_source(std::string_view name);

struct MetricValue {
  double p10 = 0.0;
  double p50 = 0.0;
  double p90 = 0.0;
  std::string unit;
  std::string provenance;   // "measured", "modelled", "extrapolated"
  bool operator==(const MetricValue&) const = default;
};

struct Environment {
  std::string git_revision;
  std::string hardware;     // "2 × AMD EPYC", "1 × NVIDIA H200"
  std::string driver;       // empty: none
  std::map<std::string, std::string> libraries;  // name → version
  std::string catalogue_date;
  std::string profile_digest;
  std::string host;
  bool operator==(const Environment&) const = default;
};

struct RunRecord {
  RunSource source = RunSource::kPredicted;
  std::string fidelity;     // "closed", "maxplus", "simgrid"; "engine" for measured
  std::string scenario_name;
  std::string scenario_digest;
  std::string plan_digest;
  std::string plan_name;
  std::uint64_t seed = 0;   // predicted: of the draws (the workload's is in the scenario); measured: the workload's
  std::int64_t repeats = 1;
  std::string started_utc;  // ISO 8601
  std::string output_hash;  // hash of all output token ids; measured runs
  std::map<std::string, MetricValue> metrics;   // by registry name
  std::map<std::string, std::map<std::string, MetricValue>> tenants;  // by tenant, of its requests alone
  std::vector<LedgerEntry> ledger;
  Environment environment;
  bool operator==(const RunRecord&) const = default;
};

// What every record keeps to, checked on reading and before storing: metrics of the registry with its unit,
// finite, p10 <= p50 <= p90, a known provenance; ledger without doubled causes whose shares sum to 1 (or no
// ledger); a known fidelity that fits the source; digests given. Throws Error{kInput} naming the JSON pointer.
void validate_run_record(const RunRecord& record, const std::string& where);

// Each metric also carries its "definition" (registry). Throws as validate_run_record.
[[nodiscard]] std::string to_json(const RunRecord& record, int indent = 2);
// Throws Error{kInput} naming the JSON pointer. "samples", which `lindos run` prints with a record, is passed over.
[[nodiscard]] RunRecord run_record_from_json(std::string_view text, const std::string& where);

[[nodiscard]] std::string to_json(const Environment& environment, int indent = 2);
[[nodiscard]] Environment environment_from_json(std::string_view text, const std::string& where);

}  // namespace lindos
