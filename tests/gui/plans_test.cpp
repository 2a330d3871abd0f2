// SPDX-License-Identifier: Apache-2.0
// Plans as boxes and as what a search answers; numbers by hand.
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <filesystem>

#include "data/catalogue.h"
#include "gui/charts/front_chart.h"
#include "gui/charts/sharding_diagram.h"
#include "gui/models/found_plans.h"
#include "gui/models/plan_shape.h"

namespace lindos::gui {
namespace {

// Two stages of 3 and 1 layers; in the first one an H100 with 6 of 8 heads beside a smaller GPU with 2.
Plan uneven_plan() {
  GroupPlan group;
  group.name = "mixed";
  group.replicas = 3;
  StagePlan first;
  first.layers = {0, 3};
  RankPlan large, small;
  large.pool = "h100";
  large.share.q_heads = {0, 6};
  large.share.ffn = {0, 75};
  small.pool = "l40";
  small.share.q_heads = {6, 8};
  small.share.ffn = {75, 100};
  first.ranks = {large, small};
  StagePlan second;
  second.layers = {3, 4};
  RankPlan only;
  only.pool = "h100";
  only.share.q_heads = {0, 8};
  only.share.ffn = {0, 100};
  second.ranks = {only};
  group.stages = {first, second};
  Plan plan;
  plan.groups = {group};
  return plan;
}

TEST(PlanShape, SharesAreToScale) {
  const std::vector<GroupBox> groups = plan_boxes(uneven_plan(), {});
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_FALSE(groups[0].even);
  EXPECT_EQ(groups[0].text, "3 replicas · 2 stages · 2 tensor ranks · 3 GPUs each");
  EXPECT_NEAR(groups[0].stages[0].ranks[0].share, 0.75, 1e-12);
  EXPECT_NEAR(groups[0].stages[0].ranks[1].share, 0.25, 1e-12);
  EXPECT_NEAR(groups[0].stages[0].layer_share, 0.75, 1e-12);
  EXPECT_TRUE(groups[0].stages[1].even);
  const Table table = shares_table(groups);
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[1].cells[5].text, "25.0 %");
  EXPECT_TRUE(table.rows[1].cells[6].text.contains("heads 6 – 7"));
}

// Ranks on CPUs share the cores of their machine: they are no GPUs, and how many cores there are the plan does not say.
TEST(PlanShape, RanksOnCpusAreNoGpus) {
  EXPECT_EQ(plan_boxes(uneven_plan(), {"l40"})[0].text, "3 replicas · 2 stages · 2 tensor ranks · 2 GPUs each · on CPU cores");
  EXPECT_EQ(plan_boxes(uneven_plan(), {"h100", "l40"})[0].text, "3 replicas · 2 stages · 2 tensor ranks · on CPU cores");
  const auto text_of = [](const char* scenario) {
    const std::filesystem::path root(LINDOS_SOURCE_DIR);
    return plan_boxes(load_scenario(root / "scenarios" / scenario, load_catalogue(root / "data" / "catalogue")))[0].text;
  };
  EXPECT_EQ(text_of("this-machine.toml"), "1 replica · 1 stage · 1 rank a stage · on CPU cores");
  EXPECT_EQ(text_of("one-h200-llama8b.toml"), "1 replica · 1 stage · 1 rank a stage · 1 GPU each");
}

TEST(PlanShape, TheDiagramDrawsThem) {
  ShardingDiagram diagram;
  diagram.resize(600, 300);
  diagram.show_plan(plan_boxes(uneven_plan(), {}));
  const QRectF large = diagram.rank_box(0, 0, 0), small = diagram.rank_box(0, 0, 1), only = diagram.rank_box(0, 1, 0);
  EXPECT_NEAR(large.height() / small.height(), 3.0, 1e-9);
  EXPECT_NEAR(large.width() / only.width(), 3.0, 1e-9);
  EXPECT_NEAR(large.bottom(), small.top(), 1e-9);
  EXPECT_GT(only.left(), large.right());
  EXPECT_FALSE(diagram.grab().isNull());
}

const char* const kAnswer = R"({"scenario_name": "s", "objective": "run", "unit": "token/s", "plans": [
  {"name": "a", "changes": "", "file": "plan-1.json", "objective": 200.0, "power_w": 2e6,
   "groups": [{"name": "h100", "replicas": 1171, "tensor": 8, "context": 1, "expert": 1, "stages": 16, "micro_batches": 5}],
   "gains": [{"over": "own", "gain": 1.0, "p10": 0.9, "p90": 1.1}],
   "metrics": {"mfu": {"p50": 0.1}, "step_time_s": {"p50": 8.0}}},
  {"name": "b", "changes": "full recomputation", "file": null, "objective": 150.0, "power_w": 1e6, "groups": [], "gains": []}],
  "baselines": [{"name": "own", "changes": "", "file": null, "objective": 100.0, "power_w": 2e6, "groups": [], "gains": []}],
  "searched": {"shapes": 1200, "priced": 50000, "screening_error": 0.01},
  "pruned": [{"reason": "memory", "count": 7, "example": "TP 1"}]})";

TEST(FoundPlans, AreReadAsThePlannerWritesThem) {
  const auto search = plan_search_from(QJsonDocument::fromJson(kAnswer).object());
  ASSERT_TRUE(search);
  ASSERT_EQ(search->plans.size(), 3u);
  EXPECT_EQ(search->plans[0].scenario_file, "plan-1.toml");
  EXPECT_EQ(search->plans[0].groups, "1,171 × h100: TP 8, PP 16, 5 micro-batches");
  EXPECT_DOUBLE_EQ(search->plans[0].gain.value(), 1.0);
  EXPECT_FALSE(search->plans[1].of_peak);
  EXPECT_TRUE(search->plans[2].baseline);
  EXPECT_TRUE(search->searched.contains("1,200 shapes"));
  const Table table = plans_table(*search);
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.set_table(table);
  model.set_table(search->pruned);
  // 200 in place of 100 token/s.
  EXPECT_EQ(table.rows[0].cells[2].text, "+100.0 %");
  EXPECT_EQ(table.rows[0].cells[3].text, "+90.0 % – +110.0 %");
  EXPECT_EQ(table.rows[0].cells[6].text, "2.0 MW");
  EXPECT_EQ(table.rows[1].cells[2].text, "–");
  EXPECT_EQ(table.rows[1].cells[8].text, "full recomputation");
  // A planner that does not state the power of a few devices: absent, not none.
  ASSERT_TRUE(all_state_power(*search));
  PlanSearch unpowered = *search;
  unpowered.plans[1].power_w.reset();
  EXPECT_FALSE(all_state_power(unpowered));
  EXPECT_EQ(plans_table(unpowered).rows[1].cells[6].text, "–");
  // Numbers carry their unit, with a prefix where a power of ten would be needed.
  EXPECT_EQ(objective_scale(*search).unit, search->unit);
  PlanSearch large = *search;
  for (FoundPlan& plan : large.plans) plan.objective = 9.41e6;
  large.unit = "token/s";
  EXPECT_EQ(plans_table(large).columns[1], "Objective: " + search->objective + ", Mtoken/s");
  EXPECT_EQ(plans_table(large).rows[0].cells[1].text, "9.41");
  // Of a fleet that serves: what is left of it, the front with its interval, and what was simulated.
  QJsonObject serving = QJsonDocument::fromJson(kAnswer).object();
  QJsonArray plans = serving.value("plans").toArray();
  QJsonObject first = plans[0].toObject();
  first["without_node"] = QJsonObject{{"requests_per_s", 1234.0}, {"p10", 1100.0}, {"p90", 1300.0}};
  first["without_rack"] = QJsonObject{{"requests_per_s", 0.0}, {"p10", 0.0}, {"p90", 0.0}};
  plans[0] = first;
  serving["plans"] = plans;
  serving["pareto"] = QJsonArray{QJsonObject{{"tokens_per_s_user", 20.0}, {"tokens_per_s_device", 900.0}, {"p10", 800.0}, {"p90", 950.0}}};
  serving["searched"] = QJsonObject{{"plans", 9}, {"plans_simulated", 7}};
  const auto served = plan_search_from(serving);
  ASSERT_TRUE(served);
  EXPECT_TRUE(served->searched.contains("7 plans simulated"));
  EXPECT_DOUBLE_EQ(served->front.at(0).p10, 800.0);
  const Table spare = plans_table(*served);
  EXPECT_EQ(spare.columns.size(), table.columns.size() + 2);
  EXPECT_EQ(spare.rows[0].cells[7].text, "1,234 (1,100 – 1,300)");
  EXPECT_EQ(spare.rows[0].cells[8].text, "0 (0 – 0)");
  EXPECT_EQ(spare.rows[1].cells[7].text, "–");
  // Where prices are known, in the words and the unit of the registry.
  first["dollars_per_million_tokens"] = 0.1234;
  plans[0] = first;
  serving["plans"] = plans;
  const Table priced = plans_table(*plan_search_from(serving));
  EXPECT_EQ(priced.columns.size(), spare.columns.size() + 1);
  EXPECT_EQ(priced.columns[7], "Dollars per million tokens");
  EXPECT_EQ(priced.rows[0].cells[7].text, "0.123 $/Mtoken");
  EXPECT_EQ(priced.rows[0].cells[8].text, spare.rows[0].cells[7].text);
  EXPECT_EQ(priced.rows[1].cells[7].text, "–");
  EXPECT_FALSE(plan_search_from(QJsonDocument::fromJson(R"({"source": "predicted"})").object()));
  FrontChart chart;
  chart.resize(500, 300);
  chart.show_search(*search);
  chart.mark(0);
  EXPECT_FALSE(chart.grab().isNull());
  chart.show_search(*served);
  EXPECT_FALSE(chart.grab().isNull());
}

}  // namespace
}  // namespace lindos::gui
