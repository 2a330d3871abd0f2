// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/tables.h"

#include <QObject>
#include <algorithm>
#include <cmath>

#include "gui/models/cells.h"
#include "gui/models/format.h"
#include "scenarios/metrics.h"

namespace lindos::gui {

namespace {

constexpr double kEqualBelow = 0.02;  // of the larger value

Cell missing() { return absent(QObject::tr("This run does not have it.")); }

const MetricValue* find_value(const RunRecord* record, std::string_view name) {
  if (record == nullptr) return nullptr;
  const auto found = record->metrics.find(std::string(name));
  return found != record->metrics.end() ? &found->second : nullptr;
}

Cell value_cell(const std::string& name, const MetricValue* value) {
  return value != nullptr ? number(metric_text(name, value->p50), value->p50) : missing();
}

Cell interval_cell(const std::string& name, const MetricValue* value) {
  return value != nullptr ? number(metric_interval(name, *value), value->p90 - value->p10) : missing();
}

// "+1.6 %" with a true minus; from ten times on "× 136".
Cell ratio_cell(double from, double to) {
  if (from == 0.0) return missing();
  const double ratio = (to - from) / from;
  if (ratio >= 9.0) return number("× " + QString::number(std::lround(to / from)), ratio);
  return number(points(ratio) + " %", ratio);
}

const LedgerEntry* find_entry(const RunRecord& record, Cause cause) {
  for (const LedgerEntry& entry : record.ledger) {
    if (entry.cause == cause) return &entry;
  }
  return nullptr;
}

// How two values with their intervals stand to each other; the rule of compare_rule().
Cell verdict(const LedgerEntry& a, const LedgerEntry& b) {
  const double larger = std::max(std::abs(a.share), std::abs(b.share));
  const auto inside = [](double value, const LedgerEntry& of) { return value >= of.p10 && value <= of.p90; };
  if (std::abs(a.share - b.share) < kEqualBelow * larger || larger == 0.0) {
    return word(QObject::tr("equal"), QObject::tr("Less than 2 % apart."));
  }
  if (a.p90 < b.p10 || b.p90 < a.p10) {
    Cell cell = word(QObject::tr("differ"), QObject::tr("At least 2 % apart, and the intervals do not touch."));
    cell.emphasis = true;
    return cell;
  }
  if (inside(a.share, b) && inside(b.share, a)) {
    return word(QObject::tr("equal"), QObject::tr("Each value lies within the other's interval."));
  }
  return word(QObject::tr("overlap"), QObject::tr("The intervals touch, but one value lies outside the other's."));
}

Cell gain_cell(const Regained& gain) { return number(points(gain.p50), gain.p50); }
Cell gain_interval(const Regained& gain) {
  return number(points(gain.p10) + " – " + points(gain.p90), gain.p90 - gain.p10);
}

}  // namespace

QString compare_rule() {
  return QObject::tr(
      "Equal: less than 2 % apart, or each value within the other's P10 – P90. Differ: the intervals do not touch. "
      "Overlap: anything between.");
}

Table runs_table(const std::vector<ListedRun>& runs) {
  Table table{{QObject::tr("Run"), QObject::tr("Kind"), QObject::tr("Fidelity"), QObject::tr("Scenario"),
               QObject::tr("Plan"), QObject::tr("Of peak"), QObject::tr("Started (UTC)")},
              {}};
  for (const ListedRun& run : runs) {
    const data::RunSummary& s = run.summary;
    TableRow row;
    row.key = s.id;
    row.cells = {number(QString::number(s.id), static_cast<double>(s.id)),
                 word((s.source == RunSource::kMeasured ? "◆ " : "■ ") + to_qt(name_of(s.source))),
                 word(QString::fromStdString(s.fidelity)),
                 word(QString::fromStdString(s.scenario_name), QObject::tr("digest %1").arg(to_qt(s.scenario_digest))),
                 word(QString::fromStdString(s.plan_name), QObject::tr("digest %1").arg(to_qt(s.plan_digest))),
                 run.useful ? number(percent(*run.useful), *run.useful) : missing(), word(time_text(s.started_utc))};
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table metrics_table(const RunRecord& record, const RunRecord* measured) {
  Table table{{QObject::tr("Metric"), QObject::tr("Median"), QObject::tr("P10 – P90"), QObject::tr("Provenance")}, {}};
  if (measured != nullptr) {
    table.columns = {QObject::tr("Metric"), QObject::tr("Predicted"), QObject::tr("P10 – P90"), QObject::tr("Measured"),
                     QObject::tr("Error")};
  }
  for (const Metric& metric : metric_registry()) {
    const std::string name(metric.name);
    const MetricValue* value = find_value(&record, name);
    const MetricValue* real = find_value(measured, name);
    if (value == nullptr && real == nullptr) continue;
    TableRow row;
    row.cells = {word(metric_label(name), metric_tooltip(name)), value_cell(name, value), interval_cell(name, value)};
    if (measured == nullptr) {
      row.cells.push_back(word(QString::fromStdString(value->provenance)));
    } else {
      row.cells.push_back(value_cell(name, real));
      row.cells.push_back(value != nullptr && real != nullptr ? ratio_cell(real->p50, value->p50) : missing());
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table waterfall_table(const Waterfall& waterfall, const QString& other) {
  const bool measured = waterfall.measured_useful.has_value();
  Table table{{QObject::tr("Cause"), QObject::tr("Group"), QObject::tr("Points lost"), QObject::tr("P10 – P90"),
               QObject::tr("Left of peak")},
              {}};
  if (measured) table.columns << (other.isEmpty() ? QObject::tr("Measured") : other);
  table.columns << QObject::tr("What it is");
  for (const WaterfallStep& step : waterfall.steps) {
    TableRow row;
    row.cells = {word(to_qt(step.label), to_qt(step.sentence)),
                 word(step.causes.size() > 1 ? QObject::tr("several") : to_qt(label_of(step.group))),
                 number(QString::number(step.share * 100.0, 'f', 1), step.share),
                 step.p10 ? number(percent_interval(*step.p10, *step.p90), *step.p90 - *step.p10) : missing(),
                 number(percent(step.after), step.after)};
    if (measured) {
      row.cells.push_back(
          step.measured ? number(QString::number(*step.measured * 100.0, 'f', 1), *step.measured) : missing());
    }
    row.cells.push_back(word(to_qt(step.sentence)));
    table.rows.push_back(std::move(row));
  }
  TableRow last;
  const LedgerEntry& useful = waterfall.useful;
  last.cells = {word(capitalised(to_qt(lindos::label_of(Cause::kUseful)))), word(""), missing(),
                number(percent_interval(useful.p10, useful.p90), useful.p90 - useful.p10),
                number(percent(useful.share), useful.share)};
  if (measured) last.cells.push_back(number(percent(*waterfall.measured_useful), *waterfall.measured_useful));
  last.cells.push_back(word(to_qt(sentence_of(Cause::kUseful))));
  for (Cell& cell : last.cells) cell.emphasis = true;
  table.rows.push_back(std::move(last));
  return table;
}

Table mitigations_table(const ExplanationResult& explanation) {
  Table table{{QObject::tr("Change"), QObject::tr("Points regained"), QObject::tr("P10 – P90"),
               QObject::tr("Then of peak"), QObject::tr("What it does"), QObject::tr("Cost")},
              {}};
  for (std::size_t i = 0; i < explanation.mitigations.size(); ++i) {
    const MitigationRow& m = explanation.mitigations[i];
    const bool applies = m.refused.isEmpty();
    TableRow row;
    row.key = static_cast<std::int64_t>(i);
    row.cells = {word(m.name, m.what),
                 applies ? gain_cell(m.gain) : missing(),
                 applies ? gain_interval(m.gain) : missing(),
                 applies ? number(percent(m.mfu), m.mfu) : missing(),
                 applies ? word(m.what, m.what) : word(QObject::tr("does not apply: %1").arg(m.refused), m.refused),
                 word(m.cost, m.cost)};
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table restored_table(const ExplanationResult& explanation) {
  Table table{{QObject::tr("Cause made ideal"), QObject::tr("Points regained"), QObject::tr("P10 – P90")}, {}};
  for (const RestoredCause& r : explanation.restored) {
    const auto cause = find_cause(r.name.toStdString());
    QString label = cause ? to_qt(lindos::label_of(*cause)) : QString(r.name).replace('_', ' ');
    TableRow row;
    row.cells = {word(capitalised(label), cause ? to_qt(sentence_of(*cause)) : QString()), gain_cell(r.gain),
                 gain_interval(r.gain)};
    table.rows.push_back(std::move(row));
  }
  return table;
}

QString compared_headline(const RunRecord& a, const RunRecord& b) {
  const LedgerEntry* from = find_entry(a, Cause::kUseful);
  const LedgerEntry* to = find_entry(b, Cause::kUseful);
  if (from == nullptr || to == nullptr) return {};
  QString how = verdict(*from, *to).tooltip;
  how.chop(1);
  return QObject::tr("%1 → %2 of peak, %3 points (%4)")
      .arg(QString::number(from->share * 100.0, 'f', 1), percent(to->share), points(to->share - from->share),
           how.left(1).toLower() + how.mid(1));
}

Table compared_metrics(const RunRecord& a, const RunRecord& b) {
  Table table{{QObject::tr("Metric"), QObject::tr("A"), QObject::tr("A: P10 – P90"), QObject::tr("B"),
               QObject::tr("B: P10 – P90"), QObject::tr("B − A"), QObject::tr("Verdict")},
              {}};
  for (const Metric& metric : metric_registry()) {
    const std::string name(metric.name);
    const MetricValue* va = find_value(&a, name);
    const MetricValue* vb = find_value(&b, name);
    if (va == nullptr && vb == nullptr) continue;
    const bool both = va != nullptr && vb != nullptr;
    TableRow row;
    row.cells = {
        word(metric_label(name), metric_tooltip(name)),
        value_cell(name, va),
        interval_cell(name, va),
        value_cell(name, vb),
        interval_cell(name, vb),
        both ? ratio_cell(va->p50, vb->p50) : missing(),
        both ? verdict({Cause::kUseful, va->p50, va->p10, va->p90}, {Cause::kUseful, vb->p50, vb->p10, vb->p90})
             : word("–")};
    table.rows.push_back(std::move(row));
  }
  return table;
}

Table compared_ledgers(const RunRecord& a, const RunRecord& b) {
  Table table{
      {QObject::tr("Cause"), QObject::tr("A, % of peak"), QObject::tr("A: P10 – P90"), QObject::tr("B, % of peak"),
       QObject::tr("B: P10 – P90"), QObject::tr("B − A, points"), QObject::tr("Verdict")},
      {}};
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    const LedgerEntry* found_a = find_entry(a, cause);
    const LedgerEntry* found_b = find_entry(b, cause);
    if (found_a == nullptr && found_b == nullptr) continue;
    // A cause that a ledger does not list has the share 0 there.
    const LedgerEntry ea = found_a != nullptr ? *found_a : LedgerEntry{cause, 0.0, 0.0, 0.0};
    const LedgerEntry eb = found_b != nullptr ? *found_b : LedgerEntry{cause, 0.0, 0.0, 0.0};
    TableRow row;
    row.cells = {word(capitalised(to_qt(lindos::label_of(cause))), to_qt(sentence_of(cause))),
                 number(QString::number(ea.share * 100.0, 'f', 1), ea.share),
                 number(percent_interval(ea.p10, ea.p90), ea.p90 - ea.p10),
                 number(QString::number(eb.share * 100.0, 'f', 1), eb.share),
                 number(percent_interval(eb.p10, eb.p90), eb.p90 - eb.p10),
                 number(points(eb.share - ea.share), eb.share - ea.share),
                 // Where both are shown as 0.0 no reader looks for a difference.
                 std::max(std::abs(ea.share), std::abs(eb.share)) < 0.0005
                     ? word(QObject::tr("equal"), QObject::tr("Less than 0.05 points in both."))
                     : verdict(ea, eb)};
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace lindos::gui
