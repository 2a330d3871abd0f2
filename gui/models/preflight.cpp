// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/preflight.h"

#include <QJsonArray>
#include <QObject>

#include "gui/models/cells.h"

namespace lindos::gui {

std::optional<PreflightResult> preflight_from(const QJsonObject& result) {
  if (!result.value("checks").isArray()) return std::nullopt;
  PreflightResult out;
  out.ready = result.value("ready").toBool();
  out.checks.columns = {QObject::tr("Check"), QObject::tr("State"), QObject::tr("Found, and remedy")};
  for (const QJsonValue& value : result.value("checks").toArray()) {
    const QJsonObject check = value.toObject();
    const QString state = check.value("state").toString();
    const bool fine = state == "ok";
    out.warnings += state == "warning" ? 1 : 0;
    TableRow row;
    row.key = static_cast<std::int64_t>(out.checks.rows.size());
    const QString found = check.value("found").toString();
    // Read without colours: a sign and a word.
    row.cells = {word(check.value("what").toString()),
                 word(fine ? QObject::tr("✓ ok") : state == "warning" ? QObject::tr("! warning") : QObject::tr("✕ failed")),
                 word(found, found)};
    row.cells[1].emphasis = !fine;
    out.checks.rows.push_back(std::move(row));
  }
  return out;
}

}  // namespace lindos::gui
