// SPDX-License-Identifier: Apache-2.0
#include "cli/plan_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/plan_files.h"
#include "cli/render.h"
#include "cli/table.h"
#include "scenarios/metrics.h"
#include "scenarios/plan_pools.h"
#include "scenarios/text_layout.h"

namespace lindos::cli {

namespace {

constexpr std::size_t kWidth = 110;

std::string value_of(const RunRecord& record, const char* metric) {
  const auto found = record.metrics.find(metric);
  return found == record.metrics.end() ? "–" : with_interval(metric_or_throw(metric), found->second);
}

void add_row(Table& table, const std::string& label, const sim::PlannedTraining& plan) {
  table.add({label, value_of(plan.record, "step_time_s"), value_of(plan.record, "steady_mfu"),
             value_of(plan.record, "mfu"), value_of(plan.record, "trained_tokens_per_s"),
             power_text(plan.power)});
}

// "1,171 × h100 with 5 micro-batches, …".
std::string groups_text(const Plan& plan) {
  std::string out;
  for (const GroupPlan& group : plan.groups) {
    out += fmt::format("{}{} × {} with {} micro-batch{}", out.empty() ? "" : ", ", with_thousands(group.replicas),
                       group.name, group.training.micro_batches, group.training.micro_batches == 1 ? "" : "es");
  }
  return out;
}

// "h100", "h100+gb200" of pipelines that span two.
std::string pools_of(const GroupPlan& group) {
  std::string out;
  for (const auto& [pool, devices] : devices_per_replica(group)) out += (out.empty() ? "" : "+") + pool;
  return out;
}

nlohmann::ordered_json plan_json(const sim::PlannedTraining& plan, const std::string& file) {
  nlohmann::ordered_json out{{"name", plan.name}, {"changes", plan.changes}, {"file", nullptr}};
  if (!file.empty()) out["file"] = file;
  out["objective"] = plan.objective;
  out["power_w"] = plan.power.value();
  auto& groups = out["groups"] = nlohmann::ordered_json::array();
  for (const GroupPlan& group : plan.scenario.plan.groups) {
    groups.push_back({{"name", group.name},
                      {"pool", pools_of(group)},
                      {"replicas", group.replicas},
                      {"tensor", group.stages.front().ranks.size()},
                      {"context", group.training.context_parallel},
                      {"expert", group.training.expert_parallel},
                      {"stages", group.stages.size()},
                      {"chunks", group.training.virtual_stages},
                      {"zero_stage", group.training.zero_stage},
                      {"micro_batches", group.training.micro_batches}});
  }
  out["gains"] = json_of(plan.gains);
  out.update(nlohmann::ordered_json::parse(lindos::to_json(plan.record)));
  return out;
}

}  // namespace

std::string render(const sim::TrainingAnswer& answer, sim::TrainingObjective objective) {
  const RunRecord& first = answer.plans.front().record;
  std::string out = fmt::format("{}   best plans by {}   (modelled · {} · {} draws · seed {}; p50 and p10 – p90)\n\n", first.scenario_name,
                                sim::name_of(objective), first.fidelity, first.repeats, first.seed);
  Table table({"plan", "step", "MFU of a running step", "MFU of the fleet", "trained over the run", "power at most"});
  for (std::size_t i = 0; i < answer.plans.size(); ++i) add_row(table, fmt::format("{}", i + 1), answer.plans[i]);
  for (const sim::PlannedTraining& baseline : answer.baselines) add_row(table, baseline.name, baseline);
  out += table.text() + "\n";
  for (std::size_t i = 0; i < answer.plans.size(); ++i) {
    const sim::PlannedTraining& plan = answer.plans[i];
    out += "  " + wrapped(fmt::format("{}  {}: {}{}", i + 1, plan.name, groups_text(plan.scenario.plan),
                                      plan.changes.empty() ? "" : "; needs " + plan.changes),
                          kWidth, 5) + "\n";
  }
  out += "\n" + gains_table(answer.plans.front().gains);
  out += fmt::format("\n{} shapes of replicas, {} prices, {} whole plans (screening off by at most {:.1f} %)\n",
                     with_thousands(answer.shapes), with_thousands(answer.priced), with_thousands(answer.whole_plans),
                     answer.screening_error * 100.0);
  return out + pruned_text(answer.pruned, kWidth);
}

std::string to_json(const sim::TrainingAnswer& answer, sim::TrainingObjective objective, const Scenario& scenario,
                    const std::vector<std::string>& files) {
  nlohmann::ordered_json out{{"scenario_name", scenario.name},
                             {"scenario_digest", digest(scenario)},
                             {"objective", sim::name_of(objective)},
                             {"unit", sim::unit_of(objective)}};
  auto& plans = out["plans"] = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < answer.plans.size(); ++i)
    plans.push_back(plan_json(answer.plans[i], i < files.size() ? files[i] : std::string()));
  auto& baselines = out["baselines"] = nlohmann::ordered_json::array();
  for (const sim::PlannedTraining& baseline : answer.baselines) baselines.push_back(plan_json(baseline, {}));
  out["searched"] = {{"shapes", answer.shapes},
                     {"priced", answer.priced},
                     {"whole_plans", answer.whole_plans},
                     {"screening_error", answer.screening_error}};
  out["pruned"] = json_of(answer.pruned);
  return out.dump(2);
}

std::vector<std::string> write_plans(const sim::TrainingAnswer& answer, const std::filesystem::path& folder) {
  std::vector<const Scenario*> scenarios;
  for (const sim::PlannedTraining& plan : answer.plans) scenarios.push_back(&plan.scenario);
  return write_plan_files(scenarios, folder);
}

}  // namespace lindos::cli
