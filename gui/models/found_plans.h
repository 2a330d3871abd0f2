// SPDX-License-Identifier: GPL-3.0-or-later
// What `lindos plan --format json` answers: plans ranked, baselines beside them, what was searched and left out.
#pragma once

#include <QJsonObject>
#include <QString>
#include <optional>
#include <vector>

#include "gui/models/table_model.h"

namespace lindos::gui {

// Requests per second with the interval of the draws.
struct DrawnRate {
  double rate = 0.0, p10 = 0.0, p90 = 0.0;
};

struct FoundPlan {
  QString name;                 // of a baseline: which one
  QString groups;               // "1,171 × h100: TP 8, PP 16; …"
  QString changes;              // what else of the scenario must change; empty: nothing
  QString scenario_file;        // of this plan, in the folder of --out; empty: none
  double objective = 0.0;       // in PlanSearch::unit
  std::optional<double> power_w;  // at most, at the meter
  std::optional<DrawnRate> without_node, without_rack;  // serving: what is left without the one whose loss costs most
  std::optional<double> of_peak, step_s, dollars_per_million_tokens;
  std::optional<double> gain, gain_p10, gain_p90;  // over the first baseline: ratio of the objectives, less one
  bool baseline = false;
};

struct FrontPoint {
  double tokens_per_s_user = 0.0, tokens_per_s_device = 0.0;
  double p10 = 0.0, p90 = 0.0;      // of tokens_per_s_device
};

struct PlanSearch {
  QString objective, unit;
  std::vector<FoundPlan> plans;     // best first, then the baselines
  std::vector<FrontPoint> front;    // serving: what one device gives at what speed for a user
  QString searched;                 // for people
  Table pruned;                     // reason, how many, example
};

// nullopt when `result` holds no plans.
[[nodiscard]] std::optional<PlanSearch> plan_search_from(const QJsonObject& result);
// How objectives are shown, so that no number needs a power of ten: 9.41 Mtoken/s.
struct ObjectiveScale {
  double factor = 1.0;  // shown = objective × factor
  QString unit;         // with its prefix; empty where the objective has none
};
[[nodiscard]] ObjectiveScale objective_scale(const PlanSearch& search);
[[nodiscard]] Table plans_table(const PlanSearch& search);
// Whether each plan says what it draws, so that plans can be set against power.
[[nodiscard]] bool all_state_power(const PlanSearch& search);

}  // namespace lindos::gui
