// SPDX-License-Identifier: Apache-2.0
#include "cli/serving_plan_report.h"

#include <cmath>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/plan_files.h"
#include "cli/render.h"
#include "cli/table.h"
#include "scenarios/metrics.h"
#include "scenarios/plan_cost.h"
#include "scenarios/plan_show.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

constexpr std::size_t kWidth = 110;

std::string promise_text(Seconds promise) {
  return promise.count() > 0.0 ? fmt::format("{:.0f} ms", promise.count() * 1e3) : "not promised";
}

// Whole numbers of many, three digits of few.
std::string rate_text(double value) {
  return value >= 1000.0 ? with_thousands(std::llround(value)) : fmt::format("{:.3g}", value);
}

// Of a part of the work that it does.
std::string time_text(Seconds time, bool others) { return others ? "–" : fmt::format("{:.1f} ms", time.count() * 1e3); }

// 0: a price is not known, or nothing is served.
double per_million(const sim::PlannedServing& plan) {
  return plan.tokens_per_s > 0.0 ? dollars_per_million_tokens(plan.cost, plan.tokens_per_s) : 0.0;
}

const Metric& cost_metric() { return metric_or_throw("dollars_per_million_tokens"); }
std::string cost_text(double dollars) { return dollars > 0.0 ? format_value(cost_metric(), dollars) : "–"; }

bool has_price(const sim::ServingAnswer& answer) {
  const auto known = [](const sim::PlannedServing& plan) { return plan.cost.value() > 0.0; };
  return std::any_of(answer.plans.begin(), answer.plans.end(), known) ||
         std::any_of(answer.baselines.begin(), answer.baselines.end(), known);
}

std::string interval_text(double p10, double p90) { return rate_text(p10) + " – " + rate_text(p90); }

void add_row(Table& table, const std::string& label, const sim::PlannedServing& plan, bool priced) {
  std::vector<std::string> row{label, rate_text(plan.requests_per_s), interval_text(plan.p10, plan.p90),
                               rate_text(plan.tokens_per_s),
                               plan.power.value() > 0.0 ? power_text(plan.power) : "–",
                               plan.power.value() > 0.0 ? rate_text(plan.tokens_per_s / (plan.power.value() / 1e6)) : "–"};
  if (priced) row.push_back(cost_text(per_million(plan)));
  table.add(row);
}

nlohmann::ordered_json drawn_json(const sim::DrawnRate& drawn) {
  return {{"requests_per_s", drawn.rate}, {"p10", drawn.p10}, {"p90", drawn.p90}};
}

std::string text_of(const sim::DrawnRate& drawn) {
  return rate_text(drawn.rate) + " (" + interval_text(drawn.p10, drawn.p90) + ")";
}

nlohmann::ordered_json plan_json(const sim::PlannedServing& plan, const std::string& file) {
  nlohmann::ordered_json out{{"name", plan.name}, {"file", nullptr}};
  if (!file.empty()) out["file"] = file;
  out["plan_digest"] = digest(plan.scenario.plan);
  out["requests_per_s"] = plan.requests_per_s;
  out["p10"] = plan.p10;
  out["p90"] = plan.p90;
  out["output_tokens_per_s"] = plan.tokens_per_s;
  if (plan.without_node) out["without_node"] = drawn_json(*plan.without_node);
  if (plan.without_rack) out["without_rack"] = drawn_json(*plan.without_rack);
  if (plan.without_site_cap > 0.0) out["without_site_cap"] = plan.without_site_cap;
  out["power_w"] = nullptr;  // of hosts it is not known
  if (plan.power.value() > 0.0) out["power_w"] = plan.power.value();
  const double dollars = per_million(plan);
  out["dollars_per_million_tokens"] = nullptr;
  if (dollars > 0.0) out["dollars_per_million_tokens"] = dollars;
  out["objective"] = plan.objective;
  auto& groups = out["groups"] = nlohmann::ordered_json::array();
  for (const sim::ServingPart& part : plan.parts) {
    groups.push_back({{"name", part.name},
                      {"what", part.what},
                      {"role", name_of(part.shape.role)},
                      {"replicas", part.replicas},
                      {"device_limit_w", part.device_limit.value()},
                      {"screened_rate", part.screened_rate},
                      {"rate", part.rate},
                      {"ttft_s", part.ttft.count()},
                      {"tpot_s", part.tpot.count()}});
  }
  out["gains"] = json_of(plan.gains);
  return out;
}

}  // namespace

std::string render(const sim::ServingAnswer& answer, const Scenario& scenario, const sim::ServingQuestion& question) {
  const bool promised = scenario.slo.ttft.count() > 0.0 || scenario.slo.tpot.count() > 0.0;
  std::string out = fmt::format("{}   best plans by {}", scenario.name,
                                promised ? sim::name_of(question.objective) : "output tokens per second");
  if (promised) {
    out += fmt::format("   (TTFT {}, TPOT {} for {:.0f} % of the requests)", promise_text(scenario.slo.ttft),
                       promise_text(scenario.slo.tpot), scenario.slo.percentile * 100.0);
  }
  if (question.survives != sim::LostUnit::kNothing)
    out += fmt::format("\nwhat is left without the {} whose loss costs most", sim::name_of(question.survives));
  out += fmt::format("\nmodelled · {} draws · seed {}\n\n", question.predict.draws, question.predict.seed);
  const bool priced = has_price(answer);
  std::vector<std::string> head{"plan", "requests/s kept", "p10 – p90 of draws", "output token/s", "power at most", "token/s per MW"};
  if (priced) head.emplace_back(cost_metric().label);
  Table table(head);
  for (std::size_t i = 0; i < answer.plans.size(); ++i) add_row(table, fmt::format("{}", i + 1), answer.plans[i], priced);
  for (const sim::PlannedServing& baseline : answer.baselines) add_row(table, baseline.name, baseline, priced);
  out += table.text() + "\n";
  for (std::size_t i = 0; i < answer.plans.size(); ++i) {
    Table parts({fmt::format("plan {}", i + 1), "replicas", "each", "requests/s each", "TTFT p50", "TPOT p50", "device limit"});
    for (const sim::ServingPart& part : answer.plans[i].parts) {
      parts.add({part.name, with_thousands(part.replicas), part.what, fmt::format("{:.3f}", part.rate),
                 time_text(part.ttft, part.shape.role == Role::kDecode), time_text(part.tpot, part.shape.role == Role::kPrefill),
                 part.limited ? fmt::format("{:.0f} W", part.device_limit.value()) : "none"});
    }
    out += parts.text();
    const sim::PlannedServing& plan = answer.plans[i];
    if (plan.without_node && plan.without_rack) {
      out += fmt::format("without the node whose loss costs most {} requests/s, without the rack {}\n",
                         text_of(*plan.without_node), text_of(*plan.without_rack));
    }
    if (plan.without_site_cap > 0.0) {
      out += fmt::format("the site's cap costs {:.1f} %: without it these shapes keep {} requests/s\n",
                         100.0 * (1.0 - plan.requests_per_s / plan.without_site_cap), rate_text(plan.without_site_cap));
    }
    out += "\n";
  }
  out += gains_table(answer.plans.front().gains);
  if (!answer.pareto.empty()) {
    out += "\n";
    std::vector<std::string> columns{"token/s for a user, at least", "token/s per device", "p10 – p90 of draws", "token/s per MW"};
    if (priced) columns.emplace_back(cost_metric().label);
    columns.emplace_back("shapes");
    Table pareto(columns);
    for (const sim::ParetoPoint& point : answer.pareto) {
      std::vector<std::string> row{fmt::format("{:.0f}", point.tokens_per_s_user), fmt::format("{:.0f}", point.tokens_per_s_device),
                                   fmt::format("{:.0f} – {:.0f}", point.p10, point.p90),
                                   rate_text(point.tokens_per_s_megawatt)};
      if (priced) row.push_back(cost_text(point.dollars_per_million));
      row.push_back(point.shapes);
      pareto.add(row);
    }
    out += pareto.text();
  }
  if (answer.plans_simulated > 0) {
    out += fmt::format("\n{} plans, {} of them simulated request by request\n", with_thousands(answer.shapes),
                       with_thousands(answer.plans_simulated));
    return out + pruned_text(answer.pruned, kWidth);
  }
  out += fmt::format("\n{} shapes", with_thousands(answer.shapes));
  if (answer.points > 0) {
    const double pace = static_cast<double>(answer.points) / std::max(1e-9, answer.screening_s);
    out += fmt::format(", {} operating points screened ({}/s)", with_thousands(answer.points),
                       with_thousands(std::llround(pace)));
  }
  out += fmt::format(", {} replicas simulated request by request\n", with_thousands(answer.verified));
  return out + pruned_text(answer.pruned, kWidth);
}

std::string to_json(const sim::ServingAnswer& answer, const Scenario& scenario, const sim::ServingQuestion& question,
                    const std::vector<std::string>& files) {
  nlohmann::ordered_json out{{"scenario_name", scenario.name},
                             {"scenario_digest", digest(scenario)},
                             {"objective", sim::name_of(question.objective)},
                             {"unit", answer.unit}};
  auto& plans = out["plans"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < answer.plans.size(); ++i)
    plans.push_back(plan_json(answer.plans[i], i < files.size() ? files[i] : std::string()));
  auto& baselines = out["baselines"] = nlohmann::ordered_json::array();
  for (const sim::PlannedServing& baseline : answer.baselines) baselines.push_back(plan_json(baseline, {}));
  auto& pareto = out["pareto"] = nlohmann::ordered_json::array();
  for (const sim::ParetoPoint& point : answer.pareto) {
    pareto.push_back({{"tokens_per_s_user", point.tokens_per_s_user},
                      {"tokens_per_s_device", point.tokens_per_s_device},
                      {"p10", point.p10},
                      {"p90", point.p90},
                      {"tokens_per_s_megawatt", point.tokens_per_s_megawatt},
                      {"dollars_per_million_tokens", nullptr},
                      {"shapes", point.shapes}});
    if (point.dollars_per_million > 0.0) pareto.back()["dollars_per_million_tokens"] = point.dollars_per_million;
  }
  // Of a few devices no shapes and points are screened: whole plans are simulated.
  if (answer.plans_simulated > 0) {
    out["searched"] = {{"plans", answer.shapes}, {"plans_simulated", answer.plans_simulated}};
  } else {
    out["searched"] = {{"shapes", answer.shapes}, {"points", answer.points}, {"verified", answer.verified}};
  }
  out["pruned"] = json_of(answer.pruned);
  return out.dump(2);
}

std::vector<std::string> write_plans(const sim::ServingAnswer& answer, const std::filesystem::path& folder) {
  std::vector<const Scenario*> scenarios;
  for (const sim::PlannedServing& plan : answer.plans) scenarios.push_back(&plan.scenario);
  return write_plan_files(scenarios, folder);
}

}  // namespace lindos::cli
