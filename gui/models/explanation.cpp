// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/explanation.h"

#include <QJsonArray>
#include <algorithm>

namespace lindos::gui {

namespace {

Regained gain_of(const QJsonObject& row) {
  return {row.value("gain").toDouble(), row.value("p10").toDouble(), row.value("p90").toDouble()};
}

}  // namespace

std::optional<ExplanationResult> explanation_from(const QJsonObject& result) {
  if (!result.value("mitigations").isArray()) return std::nullopt;
  ExplanationResult out;
  for (const QJsonValue& value : result.value("restored").toArray()) {
    const QJsonObject row = value.toObject();
    out.restored.push_back({row.value("cause").toString(), gain_of(row)});
  }
  for (const QJsonValue& value : result.value("mitigations").toArray()) {
    const QJsonObject row = value.toObject();
    out.mitigations.push_back({row.value("name").toString(), row.value("what").toString(),
                               row.value("cost").toString(), row.value("refused").toString(),
                               row.value("scenarios").toArray().first().toString(), gain_of(row),
                               row.value("mfu").toDouble()});
  }
  std::stable_sort(out.mitigations.begin(), out.mitigations.end(), [](const MitigationRow& a, const MitigationRow& b) {
    return a.refused.isEmpty() != b.refused.isEmpty() ? a.refused.isEmpty() : a.gain.p50 > b.gain.p50;
  });
  return out;
}

}  // namespace lindos::gui
