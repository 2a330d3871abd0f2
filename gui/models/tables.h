// SPDX-License-Identifier: GPL-3.0-or-later
// Records as tables: what the views show, and what "copy" and "show as table" give. A metric that a record does not
// have reads "–", never zero.
#pragma once

#include <optional>
#include <vector>

#include "data/store/store.h"
#include "gui/models/explanation.h"
#include "gui/models/table_model.h"
#include "scenarios/waterfall.h"

namespace lindos::gui {

// A run in the list; the useful share is absent for a record without a ledger.
struct ListedRun {
  data::RunSummary summary;
  std::optional<double> useful;
};

[[nodiscard]] Table runs_table(const std::vector<ListedRun>& runs);
// With `measured` also its values and the error of each.
[[nodiscard]] Table metrics_table(const RunRecord& record, const RunRecord* measured);
// The waterfall's steps in the order of the chart, first the peak, last the useful share. `other`: the run that its measured
// values are of; empty: the measured one.
[[nodiscard]] Table waterfall_table(const Waterfall& waterfall, const QString& other = {});
[[nodiscard]] Table mitigations_table(const ExplanationResult& explanation);
[[nodiscard]] Table restored_table(const ExplanationResult& explanation);

// B − A with a verdict, whose rule is compare_rule().
[[nodiscard]] QString compare_rule();
// "7.9 → 9.4 % of peak, +1.5 points (at least 2 % apart, and the intervals do not touch)"; empty where either has no ledger.
[[nodiscard]] QString compared_headline(const RunRecord& a, const RunRecord& b);
[[nodiscard]] Table compared_metrics(const RunRecord& a, const RunRecord& b);
[[nodiscard]] Table compared_ledgers(const RunRecord& a, const RunRecord& b);

}  // namespace lindos::gui
