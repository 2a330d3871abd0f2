// SPDX-License-Identifier: GPL-3.0-or-later
// How well predictions met what was measured later: the store's pairs, metric by metric and cause by cause. Pure
// numbers.
#pragma once

#include <QString>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/store/comparison.h"
#include "gui/models/table_model.h"
#include "scenarios/run_record.h"

namespace lindos::gui {

// A measured run and the prediction of the same scenario and plan that the store took last before it.
struct RecordPair {
  std::int64_t predicted_id = 0, measured_id = 0;
  RunRecord predicted, measured;
  std::vector<data::MetricComparison> metrics;  // as the store compares them; empty when their definitions differ
  std::vector<data::LedgerComparison> causes;
};

// One metric of one pair, SI units.
struct ParityPoint {
  std::int64_t predicted_id = 0, measured_id = 0;
  std::string metric;
  MetricValue predicted, measured;
  double error = 0.0;  // (predicted − measured) / measured
  bool inside = false; // measured median within the predicted P10 – P90, or within 2 % of an exact prediction
  QString scenario, plan, fidelity, hardware, driver, started, revision;
};

// A metric that was measured as 0 has no point.
[[nodiscard]] std::vector<ParityPoint> parity_points(const std::vector<RecordPair>& pairs);
// Metrics that have points, in the order of the registry.
[[nodiscard]] std::vector<std::string> metrics_with_points(const std::vector<ParityPoint>& points);
[[nodiscard]] std::vector<ParityPoint> of_metric(const std::vector<ParityPoint>& points, const std::string& metric);

struct ErrorStatistics {
  std::int64_t points = 0;
  double median_ape = 0.0, mape = 0.0, p90_ape = 0.0;  // of |error|
  double bias = 0.0;                                   // mean error
  double coverage = 0.0;                               // share inside the interval
  double within_10_percent = 0.0;
};
// REQUIRES: not empty.
[[nodiscard]] ErrorStatistics statistics_of(const std::vector<ParityPoint>& points);
// "32 pairs · median error 3.1 % · 90 % below 8.9 % · bias −1.0 % · 84 % inside the interval".
[[nodiscard]] QString statistics_text(const ErrorStatistics& statistics);

[[nodiscard]] Table parity_table(const std::vector<ParityPoint>& points);
[[nodiscard]] Table metric_errors_table(const std::vector<ParityPoint>& points);
// Mean absolute and signed difference of each cause over the pairs, in points of peak.
[[nodiscard]] Table cause_errors_table(const std::vector<RecordPair>& pairs);
// By hardware and driver of the measured runs.
[[nodiscard]] Table hardware_errors_table(const std::vector<ParityPoint>& points);
// What is open beside the evidence.
struct OpenScope {
  QString name;
  std::string scenario_digest;
  QStringList devices;  // labels of its pools
  std::int64_t count = 0;
};
// On what the pairs were measured, and whether the open scenario was, is of that hardware, or lies beyond all evidence here.
[[nodiscard]] QString evidence_text(const std::vector<RecordPair>& pairs, const std::optional<OpenScope>& scope);
// By day and revision of the measured runs, oldest first.
[[nodiscard]] Table history_table(const std::vector<ParityPoint>& points);

}  // namespace lindos::gui
