// SPDX-License-Identifier: Apache-2.0
// RunRecords as text for a terminal: metrics with intervals and provenance, the ledger as bars, predicted
// beside measured with the error of each.
#pragma once

#include <string>

#include "scenarios/metrics.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"
#include "scenarios/units.h"

namespace lindos::cli {

// One record: metrics and ledger.
[[nodiscard]] std::string render(const RunRecord& record);
// The record with what it says over time as "samples".
[[nodiscard]] std::string json_with(const RunRecord& record, const RunSamples& samples);
// Which devices may draw less than their own maximum; empty where all may.
[[nodiscard]] std::string render_limits(const RunSamples& samples);
// "26.8 % (18.8 – 35.3)".
[[nodiscard]] std::string with_interval(const Metric& metric, const MetricValue& value);
// Of a plan's devices: "256.3 MW", "5.4 kW".
[[nodiscard]] std::string power_text(Watts power);
// Predicted beside measured, metric by metric and ledger entry by entry.
[[nodiscard]] std::string render_comparison(const RunRecord& predicted, const RunRecord& measured);
// {"predicted": …, "measured": …, "comparison": {"metrics": […], "ledger": […]}}
[[nodiscard]] std::string comparison_json(const RunRecord& predicted, const RunRecord& measured);

}  // namespace lindos::cli
