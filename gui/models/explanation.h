// SPDX-License-Identifier: GPL-3.0-or-later
// What `lindos predict --explain --format json` says beside the record: what each cause costs, what changes regain.
#pragma once

#include <QJsonObject>
#include <QString>
#include <optional>
#include <vector>

namespace lindos::gui {

// Points of MFU as a share, 0 … 1.
struct Regained {
  double p50 = 0.0, p10 = 0.0, p90 = 0.0;
};
struct RestoredCause {
  QString name;  // of the cause, or of a set of causes such as "failures"
  Regained gain;
};
struct MitigationRow {
  QString name, what, cost;
  QString refused;  // why it does not apply; empty: it does
  QString file;     // of its scenario, in the folder of --out; empty: none
  Regained gain;
  double mfu = 0.0;
};
struct ExplanationResult {
  std::vector<RestoredCause> restored;
  std::vector<MitigationRow> mitigations;  // most points first, those that do not apply last
};

// nullopt when `result` holds no explanation.
[[nodiscard]] std::optional<ExplanationResult> explanation_from(const QJsonObject& result);

}  // namespace lindos::gui
