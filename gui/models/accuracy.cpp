// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/accuracy.h"

#include <QObject>
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "gui/models/cells.h"
#include "gui/models/format.h"
#include "scenarios/ledger.h"
#include "scenarios/metrics.h"

namespace lindos::gui {

namespace {

constexpr double kWithin = 0.10;

QString signed_percent(double ratio) { return points(ratio) + " %"; }

double quantile_of(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  const double at = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (at - static_cast<double>(low));
}

std::vector<Cell> statistics_cells(const ErrorStatistics& s) {
  return {number(QString::number(s.points), static_cast<double>(s.points)),
          number(percent(s.median_ape), s.median_ape),
          number(percent(s.mape), s.mape),
          number(percent(s.p90_ape), s.p90_ape),
          number(signed_percent(s.bias), s.bias),
          number(percent(s.coverage), s.coverage)};
}

QStringList statistics_columns(const QString& first) {
  return {first,
          QObject::tr("Pairs"),
          QObject::tr("Median |error|"),
          QObject::tr("Mean |error|"),
          QObject::tr("P90 |error|"),
          QObject::tr("Bias"),
          QObject::tr("Inside P10 – P90")};
}

// One row for each name that `group` gives, in their order.
Table grouped_table(const std::vector<ParityPoint>& points, const QString& title,
                    const std::function<QString(const ParityPoint&)>& group) {
  Table table{statistics_columns(title), {}};
  std::map<QString, std::vector<ParityPoint>> groups;
  for (const ParityPoint& p : points) groups[group(p)].push_back(p);
  for (const auto& [name, own] : groups) {
    TableRow row;
    row.cells = {word(name)};
    for (Cell& cell : statistics_cells(statistics_of(own))) row.cells.push_back(std::move(cell));
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

std::vector<ParityPoint> parity_points(const std::vector<RecordPair>& pairs) {
  std::vector<ParityPoint> out;
  for (const RecordPair& pair : pairs) {
    for (const data::MetricComparison& row : pair.metrics) {
      if (!row.error_ratio || !row.inside_interval) continue;
      ParityPoint point;
      point.predicted_id = pair.predicted_id;
      point.measured_id = pair.measured_id;
      point.metric = row.name;
      point.predicted = *row.predicted;
      point.measured = *row.measured;
      point.error = *row.error_ratio;
      point.inside = *row.inside_interval;
      point.scenario = QString::fromStdString(pair.measured.scenario_name);
      point.plan = QString::fromStdString(pair.measured.plan_name);
      point.fidelity = QString::fromStdString(pair.predicted.fidelity);
      point.hardware = QString::fromStdString(pair.measured.environment.hardware);
      point.driver = QString::fromStdString(pair.measured.environment.driver);
      point.started = time_text(pair.measured.started_utc);
      point.revision = QString::fromStdString(pair.measured.environment.git_revision).left(10);
      out.push_back(std::move(point));
    }
  }
  return out;
}

std::vector<std::string> metrics_with_points(const std::vector<ParityPoint>& points) {
  std::vector<std::string> names;
  for (const Metric& metric : metric_registry()) {
    const std::string name(metric.name);
    if (std::any_of(points.begin(), points.end(), [&](const ParityPoint& p) { return p.metric == name; }))
      names.push_back(name);
  }
  return names;
}

std::vector<ParityPoint> of_metric(const std::vector<ParityPoint>& points, const std::string& metric) {
  std::vector<ParityPoint> out;
  std::copy_if(points.begin(), points.end(), std::back_inserter(out),
               [&](const ParityPoint& p) { return p.metric == metric; });
  return out;
}

ErrorStatistics statistics_of(const std::vector<ParityPoint>& points) {
  ErrorStatistics s;
  std::vector<double> errors;
  for (const ParityPoint& p : points) {
    errors.push_back(std::abs(p.error));
    s.mape += std::abs(p.error);
    s.bias += p.error;
    s.coverage += p.inside ? 1.0 : 0.0;
    s.within_10_percent += std::abs(p.error) <= kWithin ? 1.0 : 0.0;
  }
  const auto n = static_cast<double>(points.size());
  s.points = static_cast<std::int64_t>(points.size());
  s.mape /= n;
  s.bias /= n;
  s.coverage /= n;
  s.within_10_percent /= n;
  s.median_ape = quantile_of(errors, 0.5);
  s.p90_ape = quantile_of(errors, 0.9);
  return s;
}

QString statistics_text(const ErrorStatistics& s) {
  return QObject::tr(
             "%1 · median error %2 · 90 % below %3 · bias %4 · %5 within ±10 % · %6 inside the predicted interval")
      .arg(s.points == 1 ? QObject::tr("1 pair") : QObject::tr("%1 pairs").arg(s.points), percent(s.median_ape),
           percent(s.p90_ape), signed_percent(s.bias),
           QString::number(std::lround(s.within_10_percent * 100.0)) + " %",
           QString::number(std::lround(s.coverage * 100.0)) + " %");
}

Table parity_table(const std::vector<ParityPoint>& points) {
  Table table{{QObject::tr("Measured run"), QObject::tr("Prediction"), QObject::tr("Scenario"),
               QObject::tr("Predicted"), QObject::tr("P10 – P90"), QObject::tr("Measured"), QObject::tr("Error"),
               QObject::tr("Inside"), QObject::tr("Hardware")},
              {}};
  for (const ParityPoint& p : points) {
    TableRow row;
    row.key = p.measured_id;
    row.cells = {number(QString::number(p.measured_id), static_cast<double>(p.measured_id)),
                 word(QString("%1, %2").arg(p.predicted_id).arg(p.fidelity)),
                 word(p.scenario, QObject::tr("plan %1").arg(p.plan)),
                 number(metric_text(p.metric, p.predicted.p50), p.predicted.p50),
                 number(metric_interval(p.metric, p.predicted), p.predicted.p90 - p.predicted.p10),
                 number(metric_text(p.metric, p.measured.p50), p.measured.p50),
                 number(signed_percent(p.error), p.error),
                 word(p.inside ? QObject::tr("yes") : QObject::tr("no")),
                 word(p.hardware)};
    row.cells[7].emphasis = !p.inside;
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table metric_errors_table(const std::vector<ParityPoint>& points) {
  Table table{statistics_columns(QObject::tr("Metric")), {}};
  for (const std::string& metric : metrics_with_points(points)) {
    TableRow row;
    row.cells = {word(metric_label(metric), metric_tooltip(metric))};
    for (Cell& cell : statistics_cells(statistics_of(of_metric(points, metric)))) row.cells.push_back(std::move(cell));
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table cause_errors_table(const std::vector<RecordPair>& pairs) {
  Table table{{QObject::tr("Cause"), QObject::tr("Pairs"), QObject::tr("Mean predicted, % of peak"),
               QObject::tr("Mean measured, % of peak"), QObject::tr("Mean |difference|, points"),
               QObject::tr("Bias, points")},
              {}};
  struct Sum {
    double predicted = 0.0, measured = 0.0, absolute = 0.0;
    std::int64_t pairs = 0;
  };
  std::map<Cause, Sum> sums;
  for (const RecordPair& pair : pairs) {
    for (const data::LedgerComparison& row : pair.causes) {
      Sum& sum = sums[row.cause];
      sum.predicted += row.predicted.share;
      sum.measured += row.measured.share;
      sum.absolute += std::abs(row.difference);
      ++sum.pairs;
    }
  }
  for (const auto& [cause, sum] : sums) {
    const auto n = static_cast<double>(sum.pairs);
    const double bias = (sum.predicted - sum.measured) / n;
    TableRow row;
    row.cells = {word(capitalised(to_qt(lindos::label_of(cause))), to_qt(sentence_of(cause))),
                 number(QString::number(sum.pairs), n),
                 number(QString::number(sum.predicted / n * 100.0, 'f', 1), sum.predicted / n),
                 number(QString::number(sum.measured / n * 100.0, 'f', 1), sum.measured / n),
                 number(QString::number(sum.absolute / n * 100.0, 'f', 1), sum.absolute / n),
                 number(lindos::gui::points(bias), bias)};
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table history_table(const std::vector<ParityPoint>& points) {
  return grouped_table(points, QObject::tr("Day and revision"),
                       [](const ParityPoint& p) { return p.started.left(10) + "  " + p.revision; });
}

Table hardware_errors_table(const std::vector<ParityPoint>& points) {
  return grouped_table(points, QObject::tr("Hardware and driver"), [](const ParityPoint& p) {
    return p.driver.isEmpty() ? p.hardware : QObject::tr("%1, driver %2").arg(p.hardware, p.driver);
  });
}

QString evidence_text(const std::vector<RecordPair>& pairs, const std::optional<OpenScope>& scope) {
  QStringList hardware;
  bool measured = false;
  for (const RecordPair& pair : pairs) {
    const QString own = QString::fromStdString(pair.measured.environment.hardware);
    if (!hardware.contains(own)) hardware << own;
    measured = measured || (scope && pair.measured.scenario_digest == scope->scenario_digest);
  }
  QString text = QObject::tr("Measured on: %1.").arg(hardware.join("; "));
  if (!scope) return text;
  if (measured) return text + QObject::tr(" %1 was measured itself.").arg(scope->name);
  QStringList beyond;
  for (const QString& device : scope->devices) {
    const bool known = std::any_of(hardware.begin(), hardware.end(), [&](const QString& own) { return own.contains(device); });
    if (!known && !beyond.contains(device)) beyond << device;
  }
  const QString many = counted(scope->count);
  return text + (beyond.isEmpty()
                     ? QObject::tr(" %1 (%2 devices) was not measured, but devices of its kinds were.").arg(scope->name, many)
                     : QObject::tr(" The evidence ends there: %1 has %2 devices and nothing here was measured on %3.")
                           .arg(scope->name, many, beyond.join(", ")));
}

}  // namespace lindos::gui
