// SPDX-License-Identifier: Apache-2.0
// Predictions against measurements: the statistics by hand, the tables, and that what is drawn is what the store holds.
#include "gui/models/accuracy.h"

#include <gtest/gtest.h>

#include <QAbstractItemModelTester>
#include <QSignalSpy>

#include "gui/charts/parity_chart.h"
#include "gui/models/format.h"
#include "gui/work/store_reader.h"
#include "scenarios/metrics.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr int kPatience = 20000;

ParityPoint point(double predicted, double measured, bool inside) {
  ParityPoint p;
  p.metric = "tpot_s";
  p.predicted = {predicted * 0.9, predicted, predicted * 1.1, "s", "modelled"};
  p.measured = {measured, measured, measured, "s", "measured"};
  p.error = (predicted - measured) / measured;
  p.inside = inside;
  p.hardware = "2 × CPU";
  p.started = "2026-11-26 05:00";
  p.revision = "abc";
  return p;
}

// Errors −10 %, 0, +20 %, +30 %.
const std::vector<ParityPoint> kPoints = {point(0.9, 1.0, true), point(1.0, 1.0, true), point(1.2, 1.0, false),
                                          point(1.3, 1.0, false)};

TEST(Accuracy, StatisticsByHand) {
  const ErrorStatistics s = statistics_of(kPoints);
  EXPECT_EQ(s.points, 4);
  EXPECT_NEAR(s.mape, 0.15, 1e-12);
  EXPECT_NEAR(s.bias, 0.10, 1e-12);
  EXPECT_NEAR(s.median_ape, 0.15, 1e-12);  // between 0.1 and 0.2
  EXPECT_NEAR(s.p90_ape, 0.27, 1e-12);     // 0.2 + 0.7 × 0.1
  EXPECT_NEAR(s.coverage, 0.5, 1e-12);
  EXPECT_NEAR(s.within_10_percent, 0.5, 1e-12);
  EXPECT_TRUE(statistics_text(s).contains("bias +10.0 %"));
}

TEST(Accuracy, TablesPassQtsTester) {
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  for (const Table& table : {parity_table(kPoints), metric_errors_table(kPoints), history_table(kPoints),
                             cause_errors_table({}), parity_table({})}) {
    for (const TableRow& row : table.rows) EXPECT_EQ(row.cells.size(), static_cast<std::size_t>(table.columns.size()));
    model.set_table(table);
  }
  EXPECT_EQ(parity_table(kPoints).rows[2].cells[6].text, "+20.0 %");
  EXPECT_TRUE(parity_table(kPoints).rows[2].cells[7].emphasis);
}

TEST(Accuracy, SaysWhereTheEvidenceEnds) {
  RecordPair pair;
  pair.measured.environment.hardware = "8 × NVIDIA H100 SXM5 80 GB";
  pair.measured.scenario_digest = "5ce0";
  EXPECT_EQ(evidence_text({pair}, std::nullopt), "Measured on: 8 × NVIDIA H100 SXM5 80 GB.");
  EXPECT_TRUE(evidence_text({pair, pair}, OpenScope{"it", "5ce0", {"CPU"}, 1}).endsWith("it was measured itself."));
  EXPECT_TRUE(evidence_text({pair}, OpenScope{"more", "x", {"NVIDIA H100 SXM5 80 GB"}, 220000})
                  .endsWith("more (220,000 devices) was not measured, but devices of its kinds were."));
  EXPECT_TRUE(evidence_text({pair}, OpenScope{"other", "x", {"NVIDIA H100 SXM5 80 GB", "NVIDIA GB200"}, 220000})
                  .endsWith("The evidence ends there: other has 220,000 devices and nothing here was measured on NVIDIA GB200."));
  std::vector<ParityPoint> points = kPoints;
  points[0].driver = "580.1";
  const Table table = hardware_errors_table(points);
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].cells[1].text, "3");
  EXPECT_EQ(table.rows[1].cells[0].text, "2 × CPU, driver 580.1");
}

TEST(Accuracy, TheStoresPairsAreDrawnAsTheyAre) {
  const data::ScratchFolder folder;
  data::Store store = data::Store::open(folder / "lindos.db", data::Store::Mode::kReadWrite);
  RunRecord predicted = data::sample_run(RunSource::kPredicted);
  predicted.metrics.at("tpot_s") = {0.010, 0.011, 0.012, "s", "modelled"};
  RunRecord measured = data::sample_run(RunSource::kMeasured);
  measured.metrics.at("tpot_s") = {0.0105, 0.0105, 0.0105, "s", "measured"};
  store.insert(measured, "", "{}", "");  // nobody predicted it
  store.insert(predicted, "", "{}", "");
  store.insert(measured, "", "{}", "");
  store.insert(predicted, "", "{}", "");  // after the fact: no prediction of run 3
  StoreReader reader(folder / "lindos.db");
  std::vector<RecordPair> pairs;
  QObject::connect(&reader, &StoreReader::pairs_listed, &reader, [&](const std::vector<RecordPair>& p) { pairs = p; });
  QSignalSpy listed(&reader, &StoreReader::pairs_listed);
  reader.list_pairs();
  ASSERT_TRUE(listed.wait(kPatience));
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].predicted_id, 2);
  EXPECT_EQ(pairs[0].measured_id, 3);
  const std::vector<ParityPoint> own = of_metric(parity_points(pairs), "tpot_s");
  ASSERT_EQ(own.size(), 1u);
  EXPECT_NEAR(own[0].error, 0.0005 / 0.0105, 1e-12);
  EXPECT_TRUE(own[0].inside);
  ParityChart chart;
  chart.resize(600, 500);
  chart.show();
  chart.show_points(own, "x");
  const auto drawn = chart.drawn();
  ASSERT_EQ(drawn.size(), 1u);
  EXPECT_NEAR(drawn[0].first, 11.0, 1e-9);  // shown in ms
  EXPECT_NEAR(drawn[0].second, 10.5, 1e-9);
  const QString png = QString::fromStdString((folder / "p.png").string());
  EXPECT_EQ(chart.export_to(png), "");
  EXPECT_EQ(QImage(png).size(), chart.size() * 2);
  EXPECT_EQ(chart.drawn().size(), 1u);
  const Table causes = cause_errors_table(pairs);
  EXPECT_EQ(causes.rows.size(), static_cast<std::size_t>(data::kSampleLedgerEntries));
  EXPECT_EQ(causes.rows[0].cells[5].text, "0.0");
}

}  // namespace
}  // namespace lindos::gui
