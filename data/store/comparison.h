// SPDX-License-Identifier: Apache-2.0
// Predicted against measured, metric by metric and ledger entry by ledger entry. Plain values in SI
// units. Records at hand are compared here, stored ones by Store::compare, which also refuses values
// that builds with different metric definitions have stored.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "scenarios/ledger.h"
#include "scenarios/run_record.h"

namespace lindos::data {

struct MetricComparison {
  std::string name;
  std::string definition;
  std::string unit;
  std::optional<MetricValue> predicted;  // absent: only the other run has the metric
  std::optional<MetricValue> measured;
  // (predicted p50 − measured p50) / measured p50; absent when one side is, or when the measured
  // value is 0.
  std::optional<double> error_ratio;
  // Measured p50 within the predicted [p10, p90], or within 2 % of a prediction without spread; absent
  // when one side is.
  std::optional<bool> inside_interval;
  bool operator==(const MetricComparison&) const = default;
};

// One tenant's metrics.
struct TenantComparison {
  std::string tenant;
  std::vector<MetricComparison> metrics;
  bool operator==(const TenantComparison&) const = default;
};

// A cause that a run does not list has the share 0 there.
struct LedgerComparison {
  Cause cause = Cause::kUseful;
  LedgerEntry predicted;
  LedgerEntry measured;
  double difference = 0.0;       // predicted share − measured share
  bool inside_interval = false;  // measured share within the predicted [p10, p90]
  bool operator==(const LedgerComparison&) const = default;
};

// Every metric that either record has, in the order of the registry. Throws Error{kInput} unless the records
// are one predicted and one measured.
[[nodiscard]] std::vector<MetricComparison> compare_metrics(const RunRecord& predicted,
                                                            const RunRecord& measured);
// Every tenant that either record has, by name. Throws likewise.
[[nodiscard]] std::vector<TenantComparison> compare_tenants(const RunRecord& predicted, const RunRecord& measured);
// Every cause that either record booked, in the order of Cause. Throws likewise.
[[nodiscard]] std::vector<LedgerComparison> compare_ledgers(const RunRecord& predicted,
                                                            const RunRecord& measured);

}  // namespace lindos::data
