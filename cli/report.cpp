// SPDX-License-Identifier: Apache-2.0
#include "cli/report.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "cli/waterfall_svg.h"
#include "data/store/comparison.h"
#include "scenarios/metrics.h"
#include "scenarios/text_layout.h"
#include "scenarios/waterfall.h"

namespace lindos::cli {

namespace {

constexpr const char* kStyle = R"css(
body { font-family: sans-serif; font-size: 14px; line-height: 1.45; color: #16191f; background: #fff; max-width: 980px; margin: 32px auto; padding: 0 16px; }
h1 { font-size: 26px; margin-bottom: 2px; } h2 { font-size: 19px; margin-top: 34px; border-bottom: 1px solid #d3d7de; padding-bottom: 4px; }
h3 { font-size: 15px; margin-top: 22px; }
p.headline { font-size: 18px; font-weight: 600; } .muted { color: #555d6a; }
table { border-collapse: collapse; margin: 8px 0 14px; } th { text-align: left; color: #555d6a; font-weight: normal; border-bottom: 1px solid #878e9a; }
th, td { padding: 3px 14px 3px 0; vertical-align: top; } td { border-bottom: 1px solid #e6e8ec; } td.n, th.n { text-align: right; }
pre { background: #f3f4f6; padding: 10px 12px; overflow-x: auto; font-size: 12px; } svg { max-width: 100%; height: auto; }
@media print { h2 { page-break-after: avoid; } svg, table { page-break-inside: avoid; } }
)css";

class Table {
 public:
  // A leading "#" aligns the column to the right.
  explicit Table(const std::vector<std::string>& columns) {
    html_ = "<table><tr>";
    for (const std::string& column : columns) {
      const bool number = !column.empty() && column.front() == '#';
      numbers_.push_back(number);
      html_ += fmt::format("<th{}>{}</th>", number ? " class=\"n\"" : "", escaped(number ? column.substr(1) : column));
    }
    html_ += "</tr>\n";
  }
  void row(const std::vector<std::string>& cells) {
    html_ += "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i)
      html_ += fmt::format("<td{}>{}</td>", numbers_[i] ? " class=\"n\"" : "", escaped(cells[i]));
    html_ += "</tr>\n";
  }
  [[nodiscard]] std::string html() const { return html_ + "</table>\n"; }

 private:
  std::string html_;
  std::vector<bool> numbers_;
};

std::string signed_percent(double ratio) {
  if (std::abs(ratio) < 0.0005) return "0.0 %";
  return fmt::format("{}{:.1f} %", ratio < 0.0 ? "−" : "+", std::abs(ratio) * 100.0);
}

std::string interval_text(const Metric& metric, const MetricValue& value) {
  if (value.p10 == value.p90) return "exact";
  return format_value(metric, value.p10) + " – " + format_value(metric, value.p90);
}

std::string provenance(const RunRecord& record, std::int64_t id) {
  const Environment& e = record.environment;
  std::string text =
      record.source == RunSource::kMeasured
          ? fmt::format("Run {}: measured, {}, engine {}", id, plural(record.repeats, "repeat"), record.fidelity)
          : fmt::format("Run {}: predicted, fidelity {}, {}, seed {}", id, record.fidelity,
                        plural(record.repeats, "draw"), record.seed);
  text += fmt::format(", started {} UTC. Plan: {} ({}). Hardware: {}.", record.started_utc, record.plan_name,
                      record.plan_digest.substr(0, 12), e.hardware);
  if (!e.driver.empty()) text += " Driver " + e.driver + ".";
  if (!e.profile_digest.empty()) text += " Profile " + e.profile_digest.substr(0, 12) + ".";
  text += fmt::format(" Catalogue of {}. Revision {}.", e.catalogue_date, e.git_revision);
  return text;
}

std::string metrics_table(const RunRecord& record) {
  Table table({"Metric", "#Median", "#P10 – P90", "Provenance", "What it is"});
  for (const Metric& metric : metric_registry()) {
    const auto found = record.metrics.find(std::string(metric.name));
    if (found == record.metrics.end()) continue;
    table.row({std::string(metric.label), format_value(metric, found->second.p50), interval_text(metric, found->second),
               found->second.provenance, std::string(metric.sentence) + " [" + std::string(metric.definition) + "]"});
  }
  return table.html();
}

std::string tenants_table(const RunRecord& record) {
  if (record.tenants.empty()) return {};
  Table table({"Tenant", "Metric", "#Median", "#P10 – P90", "Provenance"});
  for (const auto& [tenant, metrics] : record.tenants) {
    for (const Metric& metric : metric_registry()) {
      const auto found = metrics.find(std::string(metric.name));
      if (found == metrics.end()) continue;
      table.row({tenant, std::string(metric.label), format_value(metric, found->second.p50),
                 interval_text(metric, found->second), found->second.provenance});
    }
  }
  return "<h3>Tenants</h3>\n" + table.html();
}

std::string ledger_table(const Waterfall& waterfall) {
  Table table({"Cause", "Group", "#Points lost", "#P10 – P90", "What it is"});
  for (const WaterfallStep& step : waterfall.steps) {
    table.row({step.label, step.causes.size() > 1 ? "several" : std::string(label_of(step.group)),
               fmt::format("{:.1f}", step.share * 100.0),
               step.p10 ? percent_interval_text(*step.p10, *step.p90) : "–", step.sentence});
  }
  table.row({"Useful", "", fmt::format("{:.1f} left", waterfall.useful.share * 100.0),
             percent_interval_text(waterfall.useful.p10, waterfall.useful.p90),
             std::string(sentence_of(Cause::kUseful))});
  return table.html();
}

std::string comparison_section(const ReportedRun& run) {
  std::string html = fmt::format("<h3>Predicted and measured</h3>\n<p class=\"muted\">{}</p>\n",
                                 escaped(provenance(*run.measured, run.measured_id)));
  Table metrics({"Metric", "#Predicted", "#P10 – P90", "#Measured", "#Error", "Inside the interval"});
  for (const data::MetricComparison& row : data::compare_metrics(run.record, *run.measured)) {
    const Metric* metric = find_metric(row.name);
    if (metric == nullptr || !row.predicted || !row.measured) continue;
    metrics.row({std::string(metric->label), format_value(*metric, row.predicted->p50),
                 interval_text(*metric, *row.predicted), format_value(*metric, row.measured->p50),
                 row.error_ratio ? signed_percent(*row.error_ratio) : "–",
                 !row.inside_interval   ? "–"
                 : *row.inside_interval ? "yes"
                                        : "no"});
  }
  return html + metrics.html();
}

std::string devices_section(const DeviceMap& map) {
  std::string html = "<h3>What holds the step up</h3>\n";
  Table pools({"Pool", "GPU", "#GPUs", "#Nodes", "#In the job"});
  for (std::size_t p = 0; p < map.pools.size(); ++p) {
    std::int64_t used = 0;
    for (const PlacedStage& stage : map.stages)
      used += stage.pool == static_cast<int>(p) ? stage.devices * stage.replicas : 0;
    pools.row({map.pools[p].name, map.pools[p].label, with_thousands(map.pools[p].devices()),
               with_thousands(map.pools[p].nodes), with_thousands(used)});
  }
  html += pools.html();
  if (map.steps.empty()) return html;
  const DrawnStep& shown = map.steps[static_cast<std::size_t>(map.shown)];
  const PlacedStage& gate = map.stages[static_cast<std::size_t>(shown.stage)];
  const PoolShape& pool = map.pools[static_cast<std::size_t>(gate.pool)];
  std::map<std::string, int> gated;
  for (const DrawnStep& step : map.steps) ++gated[map.stages[static_cast<std::size_t>(step.stage)].group];
  std::string groups;
  for (const auto& [group, count] : gated)
    groups += fmt::format("{}{} in {} of {}", groups.empty() ? "" : ", ", group, count, map.steps.size());
  const std::int64_t node = (gate.first + shown.replica * gate.stride) / pool.devices_per_node;
  html += fmt::format(
      "<p>The draw with the median step time, {:.3g} s, ends with stage {} of replica {} of group {}: from node "
      "{}/{} on. "
      "Over all draws the step ends with group {}.</p>\n",
      shown.step_s, gate.stage, shown.replica, escaped(gate.group), escaped(pool.name), node, escaped(groups));
  return html;
}

std::string run_section(const ReportedRun& run) {
  std::string html =
      fmt::format("<h2>Run {}: {}, plan {}</h2>\n<p class=\"headline\">{}</p>\n<p class=\"muted\">{}</p>\n", run.id,
                  name_of(run.record.source), escaped(run.record.plan_name), escaped(headline_of(run.record)),
                  escaped(provenance(run.record, run.id)));
  if (const auto waterfall = waterfall_of(run.record, run.measured ? &*run.measured : nullptr)) {
    html += waterfall_svg(*waterfall) + ledger_table(*waterfall);
  }
  html += "<h3>Metrics</h3>\n" + metrics_table(run.record);
  html += tenants_table(run.record);
  if (run.measured) html += comparison_section(run);
  if (run.devices) html += devices_section(*run.devices);
  return html;
}

// The runs beside each other when there are several.
std::string overview(const Report& report) {
  if (report.runs.size() < 2) return {};
  Table table({"Run", "Kind", "Plan", "#Of peak", "#P10 – P90", "Largest loss"});
  for (const ReportedRun& run : report.runs) {
    const auto waterfall = waterfall_of(run.record, nullptr);
    if (!waterfall) {
      table.row({std::to_string(run.id), std::string(name_of(run.record.source)), run.record.plan_name, "–", "–", "–"});
      continue;
    }
    const auto largest =
        std::max_element(waterfall->steps.begin(), waterfall->steps.end(),
                         [](const WaterfallStep& a, const WaterfallStep& b) { return a.share < b.share; });
    table.row({std::to_string(run.id), std::string(name_of(run.record.source)), run.record.plan_name,
               percent_text(waterfall->useful.share),
               percent_interval_text(waterfall->useful.p10, waterfall->useful.p90),
               largest == waterfall->steps.end()
                   ? "–"
                   : fmt::format("{}, {:.1f} points", largest->label, largest->share * 100.0)});
  }
  return "<h2>Runs</h2>\n" + table.html();
}

std::string redo_section(const Report& report) {
  std::string commands;
  for (const ReportedRun& run : report.runs) {
    const RunRecord& r = run.record;
    commands += r.source == RunSource::kMeasured
                    ? fmt::format("lindos run SCENARIO.toml                 # run {}\n", run.id)
                    : fmt::format("lindos predict SCENARIO.toml --fidelity {} --seeds {} --seed {}   # run {}\n",
                                  r.fidelity, r.repeats, r.seed, run.id);
  }
  std::string ids;
  for (const ReportedRun& run : report.runs) ids += fmt::format(" {}", run.id);
  commands += fmt::format("lindos report{} --db {} --out REPORT.html\n", ids, report.store);
  return "<h2>How to make it again</h2>\n<p>Save the scenario below as SCENARIO.toml.</p>\n<pre>" +
         escaped(commands) + "</pre>\n";
}

}  // namespace

std::string report_html(const Report& report) {
  const RunRecord& first = report.runs.front().record;
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                     escaped(report.scenario_name) + "</title><style>" + kStyle + "</style></head><body>\n";
  html += fmt::format("<h1>{}</h1>\n<p class=\"muted\">Lindos report of {} UTC, {}. Scenario digest {}.</p>\n",
                      escaped(report.scenario_name), escaped(report.made_utc), escaped(report.version),
                      escaped(first.scenario_digest));
  if (report.scenario && !report.scenario->description.empty())
    html += "<p>" + escaped(report.scenario->description) + "</p>\n";
  html += fmt::format("<p class=\"headline\">{}</p>\n", escaped(headline_of(first)));
  html +=
      "<p class=\"muted\">Predictions are medians over draws with P10 – P90; ledgers are means, because only means "
      "add up. A value is "
      "measured, modelled or extrapolated, as its provenance says.</p>\n";
  html += overview(report);
  for (const ReportedRun& run : report.runs) html += run_section(run);
  if (report.scenario) html += "<h2>Scenario</h2>\n<pre>" + escaped(show(*report.scenario)) + "</pre>\n";
  html += redo_section(report);
  html += "<h2>Scenario file</h2>\n<pre>" + escaped(report.scenario_toml) + "</pre>\n</body></html>\n";
  return html;
}

}  // namespace lindos::cli
