// SPDX-License-Identifier: Apache-2.0
#include "cli/render.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/table.h"
#include "data/store/comparison.h"
#include "scenarios/ledger.h"
#include "scenarios/metrics.h"

namespace lindos::cli {

namespace {

// Without the unit, which stands beside the p50.
std::string number(const Metric& metric, double value) {
  const std::string text = format_value(metric, value);
  return text.substr(0, text.rfind(' '));
}

std::string interval(const Metric& metric, const MetricValue& v) {
  if (v.p10 == v.p90) return "exact";
  return number(metric, v.p10) + " – " + number(metric, v.p90);
}

std::string counted(std::int64_t n, const char* noun) { return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s"); }

// Signed percent with a true minus.
std::string signed_percent(double ratio) {
  const std::string digits = fmt::format("{:.1f} %", std::abs(ratio) * 100.0);
  return (std::abs(ratio) < 0.0005 ? "" : ratio < 0.0 ? "−" : "+") + digits;
}

std::string signed_points(double share) {
  const double points = share * 100.0;
  return (std::abs(points) < 0.05 ? "" : points < 0.0 ? "−" : "+") + fmt::format("{:.1f}", std::abs(points));
}

std::string share_interval(const LedgerEntry& e) {
  return fmt::format("{:.1f} – {:.1f}", e.p10 * 100.0, e.p90 * 100.0);
}

// One step of the waterfall: what lies between `from` and `to` of the peak, drawn at its place.
std::string waterfall_bar(double from, double to) {
  constexpr int kWidth = 40;
  const auto cell = [](double share) {
    return static_cast<int>(std::lround(std::clamp(share, 0.0, 1.0) * kWidth));
  };
  const int begin = cell(from);
  const int end = cell(to);
  std::string out(static_cast<std::size_t>(std::min(begin, kWidth - 1)), ' ');
  if (end == begin) {
    out += "▏";  // less than a cell still shows
  } else {
    for (int i = begin; i < end; ++i) out += "█";
  }
  return out + std::string(static_cast<std::size_t>(kWidth) - std::min<std::size_t>(kWidth, width_of(out)), ' ');
}

// From the whole peak down to the share that was useful: each row takes its part away where the row above
// left off.
std::string waterfall(const std::vector<LedgerEntry>& entries) {
  Table table({"where the time went (share of peak)", "share %", "p10 – p90", ""});
  double left = 1.0;
  table.add({"peak of all devices", "100.0", "", waterfall_bar(0.0, 1.0)});
  for (auto e = entries.rbegin(); e != entries.rend(); ++e) {
    const bool useful = e->cause == Cause::kUseful;
    const double below = useful ? 0.0 : std::max(0.0, left - e->share);
    table.add({std::string(label_of(e->cause)), fmt::format("{}{:.1f}", useful ? "" : "−", e->share * 100.0),
               share_interval(*e), waterfall_bar(below, left)});
    left = below;
  }
  return table.text();
}

std::string how(const RunRecord& record) {
  if (record.source == RunSource::kMeasured) {
    return fmt::format("measured · {} · {}", counted(record.repeats, "repeat"), record.environment.hardware);
  }
  return fmt::format("predicted · {} · {} · seed {}", record.fidelity, counted(record.repeats, "draw"), record.seed);
}

// Label, predicted, band, measured, band, error, in band; the tenant before it where there is one.
std::vector<std::string> comparison_row(const data::MetricComparison& c, const std::string& tenant = {}) {
  const Metric& metric = metric_or_throw(c.name);
  const auto value = [&](const std::optional<MetricValue>& v) { return v ? format_value(metric, v->p50) : "–"; };
  const auto band = [&](const std::optional<MetricValue>& v) { return v ? interval(metric, *v) : ""; };
  std::vector<std::string> row;
  if (!tenant.empty()) row.push_back(tenant);
  for (const std::string& cell : {std::string(metric.label), value(c.predicted), band(c.predicted), value(c.measured),
                                  band(c.measured), c.error_ratio ? signed_percent(*c.error_ratio) : std::string("–"),
                                  std::string(c.inside_interval ? (*c.inside_interval ? "yes" : "no") : "")}) {
    row.push_back(cell);
  }
  return row;
}

// The figures that tell tenants apart; those that no tenant has are left out.
std::vector<const Metric*> tenant_columns(const std::map<std::string, std::map<std::string, MetricValue>>& tenants) {
  std::vector<const Metric*> columns;
  for (const char* name : {"goodput", "rejected_share", "ttft_s", "tpot_s", "output_tokens_per_s"}) {
    const bool any = std::any_of(tenants.begin(), tenants.end(), [&](const auto& t) { return t.second.contains(name); });
    if (any) columns.push_back(&metric_or_throw(name));
  }
  return columns;
}

std::string tenants_table(const RunRecord& record) {
  if (record.tenants.empty()) return {};
  const std::vector<const Metric*> columns = tenant_columns(record.tenants);
  std::vector<std::string> header = {"tenant"};
  for (const Metric* metric : columns) header.push_back(std::string(metric->label) + " (p10 – p90)");
  Table table(header);
  for (const auto& [tenant, metrics] : record.tenants) {
    std::vector<std::string> row = {tenant};
    for (const Metric* metric : columns) {
      const auto found = metrics.find(std::string(metric->name));
      row.push_back(found == metrics.end() ? "–" : with_interval(*metric, found->second));
    }
    table.add(row);
  }
  return "\n" + table.text();
}

// Predicted and measured side by side, metric by metric.
std::string tenants_comparison(const RunRecord& predicted, const RunRecord& measured) {
  const std::vector<data::TenantComparison> tenants = data::compare_tenants(predicted, measured);
  if (tenants.empty()) return {};
  Table table({"tenant", "metric", "predicted", "p10 – p90", "measured", "p10 – p90", "error", "in band"});
  for (const data::TenantComparison& tenant : tenants) {
    for (const data::MetricComparison& c : tenant.metrics) table.add(comparison_row(c, tenant.tenant));
  }
  return "\n" + table.text();
}

}  // namespace

std::string json_with(const RunRecord& record, const RunSamples& samples) {
  auto json = nlohmann::ordered_json::parse(to_json(record, -1));
  json["samples"] = nlohmann::ordered_json::parse(to_json(samples, -1));
  return json.dump(2);
}

std::string render_limits(const RunSamples& samples) {
  std::string out;
  for (const SampleSeries& series : samples.series) {
    if (series.quantity != "device_limit_w") continue;
    out += fmt::format("{}{:.0f} W per device of {}", out.empty() ? "\npower limits, the least of the plan's and of the caps of [power]: " : ", ",
                       series.points.front().value, series.subject);
  }
  return out.empty() ? out : out + "\n";
}

std::string power_text(Watts power) {
  return power.value() < 1e6 ? fmt::format("{:.1f} kW", power.value() / 1e3) : fmt::format("{:.1f} MW", power.value() / 1e6);
}

std::string with_interval(const Metric& metric, const MetricValue& value) {
  return fmt::format("{} ({})", format_value(metric, value.p50), interval(metric, value));
}

std::string render(const RunRecord& record) {
  std::string out = fmt::format("{}   plan {}   ({})\n\n", record.scenario_name, record.plan_name, how(record));
  Table metrics({"metric", "p50", "p10 – p90", "provenance"});
  for (const Metric& metric : metric_registry()) {
    const auto found = record.metrics.find(std::string(metric.name));
    if (found == record.metrics.end()) continue;
    const MetricValue& v = found->second;
    metrics.add({std::string(metric.label), format_value(metric, v.p50), interval(metric, v), v.provenance});
  }
  out += metrics.text();
  out += tenants_table(record);
  out += "\n" + waterfall(record.ledger);
  return out;
}

std::string render_comparison(const RunRecord& predicted, const RunRecord& measured) {
  std::string out = fmt::format("{}   plan {}\n  {}\n  {}\n\n", predicted.scenario_name, predicted.plan_name,
                                how(predicted), how(measured));
  Table metrics({"metric", "predicted", "p10 – p90", "measured", "p10 – p90", "error", "in band"});
  for (const data::MetricComparison& c : data::compare_metrics(predicted, measured)) metrics.add(comparison_row(c));
  out += metrics.text();
  out += tenants_comparison(predicted, measured);
  Table ledger({"where the time went", "predicted %", "measured %", "difference"});
  for (const data::LedgerComparison& c : data::compare_ledgers(predicted, measured)) {
    ledger.add({std::string(label_of(c.cause)), fmt::format("{:.1f}", c.predicted.share * 100.0),
                fmt::format("{:.1f}", c.measured.share * 100.0), signed_points(c.difference)});
  }
  out += "\n" + ledger.text();
  return out;
}

std::string comparison_json(const RunRecord& predicted, const RunRecord& measured) {
  nlohmann::ordered_json out;
  out["predicted"] = nlohmann::ordered_json::parse(to_json(predicted));
  out["measured"] = nlohmann::ordered_json::parse(to_json(measured));
  auto& metrics = out["comparison"]["metrics"] = nlohmann::ordered_json::array();
  const auto row_of = [](const data::MetricComparison& c) {
    nlohmann::ordered_json row{{"metric", c.name},        {"definition", c.definition},   {"unit", c.unit},
                               {"predicted", nullptr},    {"measured", nullptr},
                               {"error_ratio", nullptr},  {"inside_interval", nullptr}};
    if (c.predicted) row["predicted"] = c.predicted->p50;
    if (c.measured) row["measured"] = c.measured->p50;
    if (c.error_ratio) row["error_ratio"] = *c.error_ratio;
    if (c.inside_interval) row["inside_interval"] = *c.inside_interval;
    return row;
  };
  for (const data::MetricComparison& c : data::compare_metrics(predicted, measured)) metrics.push_back(row_of(c));
  for (const data::TenantComparison& tenant : data::compare_tenants(predicted, measured)) {
    for (const data::MetricComparison& c : tenant.metrics) out["comparison"]["tenants"][tenant.tenant].push_back(row_of(c));
  }
  auto& ledger = out["comparison"]["ledger"] = nlohmann::ordered_json::array();
  for (const data::LedgerComparison& c : data::compare_ledgers(predicted, measured)) {
    ledger.push_back({{"cause", name_of(c.cause)},
                      {"predicted", c.predicted.share},
                      {"measured", c.measured.share},
                      {"difference", c.difference},
                      {"inside_interval", c.inside_interval}});
  }
  return out.dump(2);
}

}  // namespace lindos::cli
