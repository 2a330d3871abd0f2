// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/calibration.h"

#include <QJsonArray>
#include <QObject>
#include <QStringList>

#include "gui/models/cells.h"
#include "gui/models/format.h"

namespace lindos::gui {

std::optional<CalibrationPreview> calibration_from(const QJsonObject& result) {
  if (!result.value("metrics").isArray() || !result.contains("elsewhere")) return std::nullopt;
  CalibrationPreview out;
  const auto count = [&](const char* key) { return static_cast<std::int64_t>(result.value(key).toDouble()); };
  out.summary = QObject::tr("%1 pairs measured on %2").arg(counted(count("pairs")), result.value("hardware").toString());
  QStringList left_out;
  if (count("elsewhere") > 0) left_out << QObject::tr("%1 of other hardware").arg(counted(count("elsewhere")));
  if (count("unsuited") > 0)
    left_out << QObject::tr("%1 predicted for another device or from a calibrated profile").arg(counted(count("unsuited")));
  if (!left_out.isEmpty()) out.summary += QObject::tr("; left out: %1").arg(left_out.join(", "));
  out.metrics.columns = {QObject::tr("Metric"), QObject::tr("Pairs"), QObject::tr("Inside the interval before"),
                         QObject::tr("Held out, after"), QObject::tr("Interval × (was 1)")};
  for (const QJsonValue& value : result.value("metrics").toArray()) {
    const QJsonObject metric = value.toObject();
    const std::string name = metric.value("metric").toString().toStdString();
    const auto share = [&](const char* key) { return number(percent(metric.value(key).toDouble()), metric.value(key).toDouble()); };
    TableRow row;
    row.key = static_cast<std::int64_t>(out.metrics.rows.size());
    row.cells = {word(metric_label(name), metric_tooltip(name)),
                 number(counted(static_cast<std::int64_t>(metric.value("pairs").toDouble())), metric.value("pairs").toDouble()),
                 share("coverage_before"), share("coverage_held_out"),
                 number(QString::number(metric.value("factor").toDouble(), 'f', 2), metric.value("factor").toDouble())};
    out.metrics.rows.push_back(std::move(row));
  }
  return out;
}

}  // namespace lindos::gui
