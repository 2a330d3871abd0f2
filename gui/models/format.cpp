// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/format.h"

#include <QObject>
#include <cmath>

#include "scenarios/metrics.h"
#include "scenarios/text_layout.h"
#include "scenarios/waterfall.h"

namespace lindos::gui {

QString to_qt(std::string_view text) { return QString::fromUtf8(text.data(), static_cast<qsizetype>(text.size())); }

QString counted(std::int64_t n) { return QString::fromStdString(with_thousands(n)); }

QString percent(double share) { return QString::fromStdString(percent_text(share)); }

QString percent_interval(double p10, double p90) {
  return QString::fromStdString(percent_interval_text(p10, p90));
}

QString points(double share) {
  const double value = share * 100.0;
  if (std::abs(value) < 0.05) return "0.0";
  return (value < 0.0 ? QString("−") : QString("+")) + QString::number(std::abs(value), 'f', 1);
}

QString metric_text(const std::string& name, double value) {
  const Metric* metric = find_metric(name);
  QString text = metric != nullptr ? to_qt(format_value(*metric, value)) : QString::number(value, 'g', 4);
  if (text.startsWith('-')) text.replace(0, 1, "−");
  return text;
}

QString metric_interval(const std::string& name, const MetricValue& value) {
  if (value.p10 == value.p90) return QObject::tr("exact");
  // The unit stands beside the median.
  const auto bare = [&](double end) { return metric_text(name, end).section(' ', 0, 0); };
  return bare(value.p10) + " – " + bare(value.p90);
}

QString metric_tooltip(const std::string& name) {
  const Metric* metric = find_metric(name);
  if (metric == nullptr) return QObject::tr("Not in this version's registry of metrics.");
  return QString("<p style='white-space:pre-wrap'><b>%1</b><br>%2<br><br>%3 = %4</p>")
      .arg(to_qt(metric->label).toHtmlEscaped(), to_qt(metric->sentence).toHtmlEscaped(),
           to_qt(metric->definition).toHtmlEscaped(), to_qt(metric->formula).toHtmlEscaped());
}

QString metric_label(const std::string& name) {
  const Metric* metric = find_metric(name);
  return metric != nullptr ? to_qt(metric->label) : QString::fromStdString(name);
}

QString provenance_text(const RunRecord& record) {
  if (record.source == RunSource::kMeasured) {
    return QObject::tr("measured · %n repeat(s) · %1", nullptr, static_cast<int>(record.repeats))
        .replace("repeat(s)", record.repeats == 1 ? "repeat" : "repeats")
        .arg(QString::fromStdString(record.environment.hardware));
  }
  QString text = QObject::tr("predicted · %1 · %2 draws · seed %3")
                     .arg(QString::fromStdString(record.fidelity))
                     .arg(record.repeats)
                     .arg(record.seed);
  if (!record.environment.profile_digest.empty()) {
    text += QObject::tr(" · profile %1").arg(to_qt(record.environment.profile_digest).left(8));
  }
  return text;
}

QString time_text(const std::string& iso_utc) { return to_qt(iso_utc).left(16).replace('T', ' '); }

QString duration_text(double seconds) {
  if (seconds < 90.0) return QObject::tr("%1 s").arg(std::lround(seconds));
  return QObject::tr("%1 min").arg(std::lround(seconds / 60.0));
}

QString capitalised(const QString& text) { return text.left(1).toUpper() + text.mid(1); }

}  // namespace lindos::gui
