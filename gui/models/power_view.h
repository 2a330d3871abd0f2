// SPDX-License-Identifier: GPL-3.0-or-later
// Power of a site as it is shown: bars by pool against the cap, one sentence, and a table. Watts at
// the meter unless a bar says otherwise. What is not known is absent: no power is predicted for
// training yet; over time a prediction of serving has it.
#pragma once

#include <QString>
#include <optional>
#include <vector>

#include "gui/models/fleet.h"
#include "gui/models/table_model.h"
#include "scenarios/run_record.h"
#include "scenarios/run_samples.h"
#include "scenarios/site_power.h"

namespace lindos::gui {

struct PowerSegment {
  QString name;
  int pool = -1;  // −1: cooling and losses, or all of it
  double watts = 0.0;
};

struct PowerBar {
  QString name;
  QString sentence;  // what it is
  std::vector<PowerSegment> segments;
  std::optional<double> p10, p90;  // of the whole bar
  [[nodiscard]] double watts() const;
};

struct PowerView {
  std::vector<PowerBar> bars;
  double cap = 0.0;  // of the site, at the meter; 0: none
  QString headline;
  bool over = false;  // nameplates together are above the cap
  Table table;
};

// `record` and `fleet` of the shown run of this scenario; absent: nothing is predicted.
[[nodiscard]] PowerView power_view(const SitePower& site, const RunRecord* record,
                                   const Fleet* fleet);
// One window of the run after the other, in watts at the meter.
struct PowerLine {
  QString name;
  int pool = -1;                   // position in the scenario; −1: the site
  std::vector<double> t_s;         // middle of the window
  std::vector<double> mean, most;  // of its slices
};

struct PowerOverTime {
  std::vector<PowerLine> lines;  // the site first
  double cap = 0.0;              // 0: none
  QString headline;
  Table table;
};

// What the prediction `record` says over time; nothing where it says nothing of power.
[[nodiscard]] std::optional<PowerOverTime> power_over_time(const RunSamples& samples, const RunRecord& record,
                                                           const SitePower& site);
// "317.2 MW", "612 W".
[[nodiscard]] QString watts_text(double watts);

}  // namespace lindos::gui
