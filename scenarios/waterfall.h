// SPDX-License-Identifier: Apache-2.0
// The ledger of a record as a waterfall: from 100 % of peak down to the useful share, one step a cause, in four groups. The
// desktop and the report draw it. Shares are 0 … 1.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "scenarios/run_record.h"

namespace lindos {

// From what the fleet offers to what the kernels make of it.
enum class LossGroup { kAvailability, kWaiting, kCommunication, kOnDevice };
inline constexpr int kLossGroups = 4;
[[nodiscard]] LossGroup group_of(Cause cause);
[[nodiscard]] std::string_view label_of(LossGroup group);

struct WaterfallStep {
  std::string label;          // starts in upper case
  std::string sentence;       // what the cause is; of folded causes their names
  LossGroup group = LossGroup::kAvailability;
  std::vector<Cause> causes;  // several: folded into "Other"
  double share = 0.0;         // mean over draws
  double before = 0.0;        // level at which the bar starts
  double after = 0.0;         // before − share
  // Quantiles over draws of this step alone; absent for folded causes, whose quantiles do not add up.
  std::optional<double> p10, p90;
  std::optional<double> measured;  // share in the measured run
};

struct Waterfall {
  std::vector<WaterfallStep> steps;
  LedgerEntry useful;
  std::optional<double> measured_useful;
};

// Causes below this share, predicted and measured, are folded.
inline constexpr double kFoldBelow = 0.005;

// nullopt for a record without a ledger.
[[nodiscard]] std::optional<Waterfall> waterfall_of(const RunRecord& record, const RunRecord* measured);

// "3.6 % of peak (P10–P90 1.4 – 5.8), 8.8 % while steps run (6.9 – 10.7). Largest loss: restart, 45.5 points."; the second
// figure for training only. The first one is the mean of the ledger, so that the waterfall ends at it.
[[nodiscard]] std::string headline_of(const RunRecord& record);

// "8.8 %" and "6.9 – 10.7" of shares.
[[nodiscard]] std::string percent_text(double share);
[[nodiscard]] std::string percent_interval_text(double p10, double p90);

}  // namespace lindos
