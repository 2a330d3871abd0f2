// SPDX-License-Identifier: Apache-2.0
// Numbers first: the waterfall's levels, the tables' texts and values, models under Qt's own tester.
#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QJsonDocument>
#include <QSortFilterProxyModel>

#include "gui/app/theme.h"
#include "gui/models/format.h"
#include "gui/models/tables.h"
#include "scenarios/metrics.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

RunRecord ledger_record(std::vector<LedgerEntry> ledger) {
  RunRecord record = data::sample_run(RunSource::kPredicted);
  record.ledger = std::move(ledger);
  record.metrics.at("steady_mfu") = {0.169, 0.188, 0.207, "1", "modelled"};
  return record;
}

RunRecord training_like() {
  return ledger_record({{Cause::kUseful, 0.088, 0.069, 0.107},
                        {Cause::kKernelInefficiency, 0.15, 0.1, 0.2},
                        {Cause::kRestart, 0.45, 0.24, 0.69},
                        {Cause::kLostWork, 0.1, 0.05, 0.15},
                        {Cause::kExposedData, 0.205, 0.2, 0.21},
                        {Cause::kSpare, 0.003, 0.003, 0.003},
                        {Cause::kThermal, 0.004, 0.001, 0.006}});
}

TEST(Waterfall, LevelsRunFromPeakToUseful) {
  const auto w = waterfall_of(training_like(), nullptr);
  ASSERT_TRUE(w);
  double level = 1.0;
  for (const WaterfallStep& step : w->steps) {
    EXPECT_DOUBLE_EQ(step.before, level);
    EXPECT_NEAR(step.after, step.before - step.share, 1e-15);
    level = step.after;
  }
  EXPECT_NEAR(level, w->useful.share, 1e-12);
}

TEST(Waterfall, GroupsInOrderLargestFirstSmallOnesFolded) {
  const auto w = waterfall_of(training_like(), nullptr);
  ASSERT_EQ(w->steps.size(), 5u);
  EXPECT_EQ(w->steps[0].causes, std::vector<Cause>{Cause::kRestart});
  EXPECT_EQ(w->steps[1].causes, std::vector<Cause>{Cause::kLostWork});
  EXPECT_EQ(w->steps[2].group, LossGroup::kCommunication);
  EXPECT_EQ(w->steps[3].group, LossGroup::kOnDevice);
  EXPECT_EQ(w->steps[4].label, "Other (2)");
  EXPECT_NEAR(w->steps[4].share, 0.007, 1e-12);
  EXPECT_FALSE(w->steps[4].p10);  // quantiles do not add up
}

TEST(Waterfall, MeasuredCausesAreShownEvenWhenNotPredicted) {
  const RunRecord predicted = ledger_record({{Cause::kUseful, 0.6, 0.6, 0.6}, {Cause::kMemoryBound, 0.4, 0.4, 0.4}});
  const RunRecord measured = ledger_record(
      {{Cause::kUseful, 0.5, 0.5, 0.5}, {Cause::kMemoryBound, 0.3, 0.3, 0.3}, {Cause::kHostOverhead, 0.2, 0.2, 0.2}});
  const auto w = waterfall_of(predicted, &measured);
  ASSERT_EQ(w->steps.size(), 2u);
  EXPECT_EQ(w->steps[0].causes, std::vector<Cause>{Cause::kHostOverhead});
  EXPECT_DOUBLE_EQ(w->steps[0].share, 0.0);
  EXPECT_DOUBLE_EQ(w->steps[0].measured.value(), 0.2);
  EXPECT_DOUBLE_EQ(w->measured_useful.value(), 0.5);
}

TEST(Waterfall, NoLedgerNoWaterfall) { EXPECT_FALSE(waterfall_of(ledger_record({}), nullptr)); }

TEST(Waterfall, EveryCauseHasAGroup) {
  std::vector<LedgerEntry> all;
  for (std::size_t i = 0; i < kCauseCount; ++i) all.push_back({static_cast<Cause>(i), 1.0 / kCauseCount, 0.0, 0.0});
  EXPECT_EQ(waterfall_of(ledger_record(all), nullptr)->steps.size(), kCauseCount - 1);
}

TEST(Headline, NamesShareIntervalAndLargestLoss) {
  EXPECT_EQ(headline_of(training_like()),
            "8.8 % of peak (P10–P90 6.9 – 10.7), 18.8 % while steps run (16.9 – 20.7). Largest loss: restart, 45.0 "
            "points.");
}

TEST(Tables, MetricsShowTheRecordsNumbers) {
  const RunRecord record = data::sample_run(RunSource::kPredicted);
  const Table table = metrics_table(record, nullptr);
  ASSERT_EQ(table.rows.size(), metric_registry().size());
  std::size_t row = 0;
  for (const Metric& metric : metric_registry()) {
    const std::vector<Cell>& cells = table.rows[row++].cells;
    EXPECT_EQ(cells[1].text, to_qt(format_value(metric, 1.0)));
    EXPECT_DOUBLE_EQ(cells[1].sort.toDouble(), 1.0);
    EXPECT_TRUE(cells[0].tooltip.contains(to_qt(metric.definition).toHtmlEscaped()));
    EXPECT_EQ(cells[3].text, "modelled");
  }
}

TEST(Tables, WhatARunLacksIsSaidNotZero) {
  RunRecord predicted = data::sample_run(RunSource::kPredicted);
  RunRecord measured = data::sample_run(RunSource::kMeasured);
  predicted.metrics.erase("power_w");
  for (const TableRow& row : metrics_table(predicted, &measured).rows) {
    if (row.cells[0].text == metric_label("power_w")) {
      EXPECT_EQ(row.cells[1].text, "–");
      EXPECT_EQ(row.cells[4].text, "–");
      EXPECT_NE(row.cells[3].text, "–");
    }
  }
}

TEST(Tables, ComparedMetricsGiveTheRatio) {
  RunRecord a = data::sample_run(RunSource::kPredicted), b = a;
  b.metrics.at("ttft_s").p50 = 1.016;
  b.metrics.at("tpot_s").p50 = 136.0;
  for (const TableRow& row : compared_metrics(a, b).rows) {
    if (row.cells[0].text == metric_label("ttft_s")) {
      EXPECT_EQ(row.cells[5].text, "+1.6 %");
    } else if (row.cells[0].text == metric_label("tpot_s")) {
      EXPECT_EQ(row.cells[5].text, "× 136");
    } else {
      EXPECT_EQ(row.cells[5].text, "0.0 %");
    }
  }
}

TEST(Tables, ComparedLedgersGiveTheDifference) {
  const RunRecord a = ledger_record({{Cause::kUseful, 0.6, 0.59, 0.61}, {Cause::kRestart, 0.4, 0.3, 0.5}});
  const RunRecord b = ledger_record({{Cause::kUseful, 0.7, 0.69, 0.71}, {Cause::kRestart, 0.3, 0.2, 0.38}});
  const Table table = compared_ledgers(a, b);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].cells[5].text, "+10.0");
  EXPECT_EQ(table.rows[0].cells[6].text, "differ");
  EXPECT_EQ(table.rows[1].cells[5].text, "−10.0");
  EXPECT_EQ(table.rows[1].cells[6].text, "overlap");
}

TEST(Tables, SmallDifferencesAreEqual) {
  const auto verdict = [](LedgerEntry a, LedgerEntry b) {
    return compared_ledgers(ledger_record({a}), ledger_record({b})).rows[0].cells[6].text;
  };
  const auto useful = [](double share, double p10, double p90) { return LedgerEntry{Cause::kUseful, share, p10, p90}; };
  EXPECT_EQ(verdict(useful(0.500, 0.500, 0.500), useful(0.509, 0.509, 0.509)), "equal");   // 1.8 % apart, both exact
  EXPECT_EQ(verdict(useful(0.500, 0.500, 0.500), useful(0.511, 0.511, 0.511)), "differ");  // 2.2 %
  EXPECT_EQ(verdict(useful(0.500, 0.450, 0.550), useful(0.530, 0.490, 0.570)),
            "equal");  // each within the other's interval
  EXPECT_EQ(verdict(useful(0.500, 0.450, 0.520), useful(0.530, 0.490, 0.570)), "overlap");
  EXPECT_TRUE(compare_rule().contains("2 %"));
}

TEST(Tables, AllPassQtsModelTester) {
  const RunRecord p = training_like();
  const RunRecord m = data::sample_run(RunSource::kMeasured);
  std::vector<ListedRun> many(3000);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].summary.id = static_cast<std::int64_t>(i);
  const auto explanation =
      explanation_from(QJsonDocument::fromJson(R"({"restored":[{"cause":"restart","gain":0.1,"p10":0.1,"p90":0.2}],
        "mitigations":[{"name":"a","what":"x","cost":"y","refused":"because"},
                       {"name":"b","what":"x","cost":"y","refused":null,"gain":0.02,"p10":0.01,"p90":0.03,"mfu":0.1},
                       {"name":"c","what":"x","cost":"y","refused":null,"gain":0.05,"p10":0.01,"p90":0.09,"mfu":0.1}]})")
                           .object());
  ASSERT_TRUE(explanation);
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  QSortFilterProxyModel sorted;
  sorted.setSourceModel(&model);
  sorted.setSortRole(TableModel::kSortRole);
  QAbstractItemModelTester sorted_tester(&sorted, QAbstractItemModelTester::FailureReportingMode::Fatal);
  for (Table& table : std::vector<Table>{{},
                                         runs_table({}),
                                         runs_table(many),
                                         metrics_table(p, nullptr),
                                         metrics_table(p, &m),
                                         waterfall_table(*waterfall_of(p, &m)),
                                         mitigations_table(*explanation),
                                         restored_table(*explanation),
                                         compared_metrics(p, m),
                                         compared_ledgers(p, m)}) {
    for (const TableRow& row : table.rows) EXPECT_EQ(row.cells.size(), static_cast<std::size_t>(table.columns.size()));
    model.set_table(table);
    if (model.columnCount() > 1) sorted.sort(1, Qt::DescendingOrder);
  }
  const Table ranked = mitigations_table(*explanation);
  EXPECT_EQ(ranked.rows[0].cells[0].text, "c");
  EXPECT_EQ(ranked.rows[2].cells[1].text, "–");
}

TEST(Tables, TsvKeepsItsColumns) {
  Table table{{"a", "b"}, {}};
  table.rows.push_back({{Cell{"x\ty", {}, {}}, Cell{"1\n2", {}, {}}}, 0});
  EXPECT_EQ(to_tsv(table), "a\tb\nx y\t1 2\n");
}

TEST(Tables, CsvQuotesWhatNeedsIt) {
  Table table{{"a", "b"}, {}};
  table.rows.push_back({{Cell{"x,y", {}, {}}, Cell{"say \"1\"", {}, {}}}, 0});
  EXPECT_EQ(to_csv(table), "a,b\r\n\"x,y\",\"say \"\"1\"\"\"\r\n");
}

TEST(Theme, TextAndMarksAreReadable) {
  for (const Theme* t : {&light_theme(), &dark_theme()}) {
    for (const QColor& ground : {t->window, t->base, t->alternate}) {
      EXPECT_GE(contrast(t->text, ground), 4.5);
      EXPECT_GE(contrast(t->muted, ground), 4.5);
    }
    for (const QColor& mark :
         {t->axis, t->peak, t->useful, t->folded, t->measured, t->loss[0], t->loss[1], t->loss[2], t->loss[3]}) {
      EXPECT_GE(contrast(mark, t->base), 3.0) << mark.name().toStdString() << (t->dark ? " dark" : " light");
    }
    EXPECT_GE(contrast(t->on_accent, t->accent), 4.5);
    EXPECT_GE(contrast(t->info_text, t->info_ground), 4.5);
    EXPECT_GE(contrast(t->warning_text, t->warning_ground), 4.5);
    EXPECT_GE(contrast(t->error_text, t->error_ground), 4.5);
  }
}

}  // namespace
}  // namespace lindos::gui
