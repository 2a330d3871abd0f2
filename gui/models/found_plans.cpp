// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/models/found_plans.h"

#include <QFileInfo>
#include <QJsonArray>
#include <QObject>
#include <QStringList>
#include <algorithm>
#include <cmath>

#include "gui/models/cells.h"
#include "gui/models/format.h"

namespace lindos::gui {

namespace {

constexpr const char* kCost = "dollars_per_million_tokens";

QString counted(const QJsonValue& value) {
  return gui::counted(static_cast<std::int64_t>(value.toDouble()));
}

QString groups_text(const QJsonArray& groups) {
  QStringList parts;
  for (const QJsonValue& value : groups) {
    const QJsonObject g = value.toObject();
    QString text = QString("%1 × %2").arg(counted(g.value("replicas")), g.value("name").toString());
    if (g.contains("tensor")) {
      text += QObject::tr(": TP %1, PP %2").arg(g.value("tensor").toInt()).arg(g.value("stages").toInt());
      if (g.value("context").toInt() > 1) text += QObject::tr(", CP %1").arg(g.value("context").toInt());
      if (g.value("expert").toInt() > 1) text += QObject::tr(", EP %1").arg(g.value("expert").toInt());
      if (g.value("micro_batches").toInt() > 0)
        text += QObject::tr(", %1 micro-batches").arg(g.value("micro_batches").toInt());
    } else if (!g.value("what").toString().isEmpty()) {
      text += ": " + g.value("what").toString();
    }
    parts << text;
  }
  return parts.join("; ");
}

std::optional<double> median_of(const QJsonObject& plan, const char* metric) {
  const QJsonValue value = plan.value("metrics").toObject().value(metric).toObject().value("p50");
  return value.isDouble() ? std::optional(value.toDouble()) : std::nullopt;
}

std::optional<DrawnRate> drawn_from(const QJsonValue& value) {
  const QJsonObject o = value.toObject();
  if (!o.value("requests_per_s").isDouble()) return std::nullopt;
  return DrawnRate{o.value("requests_per_s").toDouble(), o.value("p10").toDouble(), o.value("p90").toDouble()};
}

Cell drawn_cell(const std::optional<DrawnRate>& drawn) {
  if (!drawn) return absent();
  const auto text = [](double rate) { return rate >= 1000.0 ? gui::counted(std::llround(rate)) : QString::number(rate, 'g', 3); };
  return number(QString("%1 (%2 – %3)").arg(text(drawn->rate), text(drawn->p10), text(drawn->p90)), drawn->rate);
}

FoundPlan plan_from(const QJsonObject& o, bool baseline) {
  FoundPlan plan;
  plan.name = o.value("name").toString();
  plan.groups = groups_text(o.value("groups").toArray());
  plan.changes = o.value("changes").toString();
  plan.scenario_file = QFileInfo(o.value("file").toString()).fileName();
  if (plan.scenario_file.endsWith(".json")) plan.scenario_file.replace(plan.scenario_file.size() - 5, 5, ".toml");
  plan.objective = o.value("objective").toDouble();
  if (o.value("power_w").isDouble()) plan.power_w = o.value("power_w").toDouble();
  if (o.value(kCost).isDouble()) plan.dollars_per_million_tokens = o.value(kCost).toDouble();
  plan.without_node = drawn_from(o.value("without_node"));
  plan.without_rack = drawn_from(o.value("without_rack"));
  plan.of_peak = median_of(o, "mfu");
  plan.step_s = median_of(o, "step_time_s");
  plan.baseline = baseline;
  const QJsonObject gain = o.value("gains").toArray().first().toObject();
  if (gain.value("gain").isDouble()) {
    plan.gain = gain.value("gain").toDouble();
    plan.gain_p10 = gain.value("p10").toDouble();
    plan.gain_p90 = gain.value("p90").toDouble();
  }
  return plan;
}

QString gain_text(double gain) { return points(gain) + " %"; }

}  // namespace

std::optional<PlanSearch> plan_search_from(const QJsonObject& result) {
  if (!result.value("plans").isArray()) return std::nullopt;
  PlanSearch search;
  search.objective = result.value("objective").toString();
  search.unit = result.value("unit").toString();
  for (const QJsonValue& plan : result.value("plans").toArray())
    search.plans.push_back(plan_from(plan.toObject(), false));
  for (const QJsonValue& plan : result.value("baselines").toArray())
    search.plans.push_back(plan_from(plan.toObject(), true));
  for (const QJsonValue& point : result.value("pareto").toArray()) {
    const QJsonObject o = point.toObject();
    search.front.push_back({o.value("tokens_per_s_user").toDouble(), o.value("tokens_per_s_device").toDouble(),
                            o.value("p10").toDouble(), o.value("p90").toDouble()});
  }
  QStringList parts;
  const QJsonObject searched = result.value("searched").toObject();
  for (auto it = searched.begin(); it != searched.end(); ++it) {
    if (it.key() != "screening_error") parts << counted(it.value()) + " " + QString(it.key()).replace('_', ' ');
  }
  search.searched = parts.join(", ");
  search.pruned.columns = {QObject::tr("Left out because"), QObject::tr("How many"), QObject::tr("Example")};
  for (const QJsonValue& value : result.value("pruned").toArray()) {
    const QJsonObject o = value.toObject();
    TableRow row;
    row.cells = {word(o.value("reason").toString()), number(counted(o.value("count")), o.value("count").toDouble()),
                 word(o.value("example").toString(), o.value("example").toString())};
    search.pruned.rows.push_back(std::move(row));
  }
  return search;
}

ObjectiveScale objective_scale(const PlanSearch& search) {
  double largest = 0.0;
  for (const FoundPlan& plan : search.plans) largest = std::max(largest, std::abs(plan.objective));
  if (search.unit.isEmpty()) return {};
  if (largest >= 1e6) return {1e-6, "M" + search.unit};
  if (largest >= 1e4) return {1e-3, "k" + search.unit};
  return {1.0, search.unit};
}

bool all_state_power(const PlanSearch& search) {
  return std::all_of(search.plans.begin(), search.plans.end(), [](const FoundPlan& plan) { return plan.power_w.has_value(); });
}

Table plans_table(const PlanSearch& search) {
  QString objective = QObject::tr("Objective: %1").arg(search.objective);
  const ObjectiveScale scale = objective_scale(search);
  if (!scale.unit.isEmpty()) objective += ", " + scale.unit;
  Table table{
      {QObject::tr("Plan"), objective, QObject::tr("Gain"), QObject::tr("P10 – P90"), QObject::tr("Step"),
       QObject::tr("Of peak"), QObject::tr("Power at most"), QObject::tr("Groups"), QObject::tr("Also needs")},
      {}};
  // Of a fleet that serves, before the groups.
  constexpr int kBeforeGroups = 7;
  const bool spare = std::any_of(search.plans.begin(), search.plans.end(), [](const FoundPlan& plan) { return plan.without_node.has_value(); });
  if (spare) {
    table.columns.insert(kBeforeGroups, QObject::tr("Without a rack, P10 – P90"));
    table.columns.insert(kBeforeGroups, QObject::tr("Requests/s without a node, P10 – P90"));
  }
  const bool priced =
      std::any_of(search.plans.begin(), search.plans.end(), [](const FoundPlan& plan) { return plan.dollars_per_million_tokens.has_value(); });
  if (priced) table.columns.insert(kBeforeGroups, metric_label(kCost));
  int rank = 0;
  for (std::size_t i = 0; i < search.plans.size(); ++i) {
    const FoundPlan& plan = search.plans[i];
    TableRow row;
    row.key = static_cast<std::int64_t>(i);
    row.cells = {plan.baseline ? word(QObject::tr("baseline: %1").arg(plan.name))
                               : word(QString("%1  %2").arg(++rank).arg(plan.name), plan.name),
                 number(QString::number(plan.objective * scale.factor, 'g', 4), plan.objective),
                 plan.gain ? number(gain_text(*plan.gain), *plan.gain) : absent(),
                 plan.gain
                     ? number(gain_text(*plan.gain_p10) + " – " + gain_text(*plan.gain_p90), *plan.gain_p90 - *plan.gain_p10)
                     : absent(),
                 plan.step_s ? number(metric_text("step_time_s", *plan.step_s), *plan.step_s) : absent(),
                 plan.of_peak ? number(percent(*plan.of_peak), *plan.of_peak) : absent(),
                 plan.power_w ? number(QString::number(*plan.power_w / 1e6, 'f', *plan.power_w < 1e6 ? 3 : 1) + " MW", *plan.power_w)
                              : absent(),
                 word(plan.groups, plan.groups),
                 word(plan.changes.isEmpty() ? "–" : plan.changes, plan.changes)};
    if (spare) row.cells.insert(row.cells.begin() + kBeforeGroups, {drawn_cell(plan.without_node), drawn_cell(plan.without_rack)});
    if (priced) {
      const std::optional<double> dollars = plan.dollars_per_million_tokens;
      row.cells.insert(row.cells.begin() + kBeforeGroups, dollars ? number(metric_text(kCost, *dollars), *dollars) : absent());
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace lindos::gui
