// SPDX-License-Identifier: Apache-2.0
// One result, predicted or measured: the same type for both, so that comparing is a join.
// JSON form as in the design (§5): {"source", "fidelity", "scenario_digest", "plan_digest", "metrics",
// "ledger", "environment"}; metric values in SI units.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/ledger.h"

namespace lindos {

enum class RunSource { kPredicted, kMeasured };

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
  std::uint64_t seed = 0;
  std::int64_t repeats = 1;
  std::string started_utc;  // ISO 8601
  std::string output_hash;  // hash of all output token ids; measured runs
  std::map<std::string, MetricValue> metrics;   // by registry name
  std::vector<LedgerEntry> ledger;
  Environment environment;
  bool operator==(const RunRecord&) const = default;
};

[[nodiscard]] std::string to_json(const RunRecord& record, int indent = 2);
// Throws Error{kInput} naming the JSON pointer.
[[nodiscard]] RunRecord run_record_from_json(std::string_view text, const std::string& where);

}  // namespace lindos
