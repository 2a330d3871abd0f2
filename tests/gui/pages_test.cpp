// SPDX-License-Identifier: Apache-2.0
// What holds for every page: whatever can be used has a name for screen readers, every table copies as TSV and CSV, every chart
// writes PNG, SVG and PDF and has a table, and metrics are explained from the registry.
#include <gtest/gtest.h>

#include <QAbstractButton>
#include <QAbstractSpinBox>
#include <QComboBox>
#include <QFile>
#include <QImage>
#include <QLineEdit>
#include <QPlainTextEdit>
#include <QProgressBar>
#include <QSignalSpy>
#include <QSvgRenderer>
#include <QTest>
#include <functional>

#include "gui/app/main_window.h"
#include "gui/models/format.h"
#include "tests/data/sample_map.h"
#include "tests/gui/window_fixture.h"

namespace lindos::gui {
namespace {

// Run 1 predicted with a device map, run 2 measured with samples and a timeline, an open scenario.
class PagesTest : public WindowFixture {
 protected:
  void SetUp() override {
    data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadWrite);
    const RunRecord predicted = data::sample_run(RunSource::kPredicted), measured = data::sample_run(RunSource::kMeasured);
    const DeviceMap map = data::sample_map();
    store.insert_together({data::NewRun(&predicted, &map)}, "[scenario]", "{}", "");
    RunSamples samples;
    samples.phases = {{0.0, "run 1 of 1"}};
    samples.series = {{"run", "output_tokens_per_s", "", {{0.5F, 90.0F}, {1.0F, 95.0F}}}, {"run", "cpu_busy", "", {{0.5F, 0.9F}, {1.0F, 0.8F}}}};
    RunTimeline timeline;
    timeline.source = RunSource::kMeasured;
    timeline.scenario_name = timeline.plan_name = "x";
    timeline.scenario_digest = timeline.plan_digest = std::string(32, 'a');
    timeline.fidelity = "engine";
    timeline.what = "steps";
    timeline.lanes = {{"replica: stages", "stage 0"}};
    timeline.spans = {{0, SpanKind::kPrefillStep, Seconds{0}, Seconds{0.1}, "step 1", ""}};
    const std::string spans = to_json(timeline);
    store.insert_together({data::NewRun(&measured, nullptr, &samples, &spans)}, "[scenario]", "{}", "");
    window_ = std::make_unique<MainWindow>(window_options("closed"));
    window_->resize(1280, 860);
    settle(*window_, [&] { window_->show(); });
    settle(*window_, [&] { window_->open_scenario(LINDOS_SOURCE_DIR "/scenarios/one-h200-llama8b.toml"); });
    settle(*window_, [&] { emit window_->runs().run_chosen(1); });
    QTRY_VERIFY_WITH_TIMEOUT(window_->accuracy().filled(), kPatience);
    settle(*window_, [&] { window_->compare_newest(); });
    window_->show_editor();
    window_->show_launch();
    QTRY_VERIFY_WITH_TIMEOUT(!window_->job().running(), kPatience);
    for (int view = 0; view <= static_cast<int>(View::kRuns); ++view) {
      window_->show_view(static_cast<View>(view));
      QTest::qWait(30);
    }
  }
  std::unique_ptr<MainWindow> window_;
};

// Parts that Qt makes of its own widgets, and speaks for.
bool of_qt(const QWidget* widget) {
  for (; widget != nullptr; widget = widget->parentWidget()) {
    const QString name = widget->objectName(), kind = widget->metaObject()->className();
    if (name.startsWith("qt_") || kind == "QComboBoxPrivateContainer" || kind == "QDockWidgetTitleButton" || kind == "QTabBar" ||
        kind == "QLineEditIconButton" || kind == "QTableCornerButton")
      return true;
  }
  return false;
}

TEST_F(PagesTest, WhateverCanBeUsedHasAName) {
  int seen = 0;
  for (const QWidget* widget : window_->findChildren<QWidget*>()) {
    // A remedy that is not offered has no words yet.
    if (of_qt(widget) || (widget->isHidden() && qobject_cast<const MessageBar*>(widget->parentWidget()) != nullptr)) continue;
    QString name = widget->accessibleName();
    if (const auto* button = qobject_cast<const QAbstractButton*>(widget)) {
      if (name.isEmpty()) name = button->text();
    } else if (qobject_cast<const QComboBox*>(widget) == nullptr && qobject_cast<const QLineEdit*>(widget) == nullptr &&
               qobject_cast<const QAbstractSpinBox*>(widget) == nullptr && qobject_cast<const QTableView*>(widget) == nullptr &&
               qobject_cast<const QPlainTextEdit*>(widget) == nullptr && qobject_cast<const QProgressBar*>(widget) == nullptr) {
      continue;
    }
    if (qobject_cast<const QLineEdit*>(widget) != nullptr && qobject_cast<const QAbstractSpinBox*>(widget->parentWidget()) != nullptr)
      continue;
    ++seen;
    EXPECT_FALSE(name.isEmpty()) << widget->metaObject()->className() << " in "
                                 << widget->parentWidget()->metaObject()->className();
  }
  EXPECT_GT(seen, 30);
  for (const QWidget* chart : {static_cast<QWidget*>(&window_->cluster().map()), static_cast<QWidget*>(&window_->why().chart()),
                               static_cast<QWidget*>(&window_->plans().diagram()), static_cast<QWidget*>(&window_->plans().front()),
                               static_cast<QWidget*>(&window_->timeline().chart()), static_cast<QWidget*>(&window_->accuracy().chart()),
                               static_cast<QWidget*>(&window_->live().map()), static_cast<QWidget*>(window_->live().charts().at(0))}) {
    EXPECT_FALSE(chart->accessibleName().isEmpty()) << chart->metaObject()->className();
    EXPECT_FALSE(chart->accessibleDescription().isEmpty()) << chart->metaObject()->className();
  }
}

TEST_F(PagesTest, EveryTableCopiesAsTsvAndCsv) {
  int filled = 0;
  for (const TableView* table : window_->findChildren<TableView*>()) {
    const int columns = table->model()->columnCount();
    if (columns == 0) continue;
    filled += table->visible_rows() > 0 ? 1 : 0;
    const QStringList lines = table->shown_tsv(false).split('\n', Qt::SkipEmptyParts);
    ASSERT_EQ(lines.size(), table->visible_rows() + 1) << table->accessibleName().toStdString();
    for (const QString& line : lines) EXPECT_EQ(line.count('\t'), columns - 1) << line.toStdString();
    // A quoted cell may hold commas; it never breaks a line here.
    EXPECT_EQ(table->shown_csv().split('\n', Qt::SkipEmptyParts).size(), lines.size()) << table->accessibleName().toStdString();
  }
  EXPECT_GT(filled, 8);
}

TEST_F(PagesTest, EveryChartWritesPngSvgAndPdf) {
  const std::pair<const char*, std::function<QString(const QString&)>> charts[] = {
      {"map", [&](const QString& f) { return window_->cluster().export_to(f); }},
      {"waterfall", [&](const QString& f) { return window_->why().chart().export_to(f); }},
      {"shares", [&](const QString& f) { return window_->plans().diagram().export_to(f); }},
      {"plans", [&](const QString& f) { return window_->plans().front().export_to(f); }},
      {"timeline", [&](const QString& f) { return window_->timeline().chart().export_to(f); }},
      {"live", [&](const QString& f) { return window_->live().export_to(f); }},
      {"power", [&](const QString& f) { return window_->power().chart().export_to(f); }},
      {"parity", [&](const QString& f) { return window_->accuracy().chart().export_to(f); }}};
  for (const auto& [name, write] : charts) {
    const auto file = [&](const char* ending) { return QString::fromStdString((folder_ / (std::string(name) + ending)).string()); };
    ASSERT_EQ(write(file(".png")), "") << name;
    ASSERT_EQ(write(file(".svg")), "") << name;
    ASSERT_EQ(write(file(".pdf")), "") << name;
    const QImage picture(file(".png"));
    ASSERT_FALSE(picture.isNull()) << name;
    // Something is drawn on it, and at twice the size on screen.
    QSet<QRgb> colours;
    for (int y = 0; y < picture.height(); y += 3) {
      for (int x = 0; x < picture.width(); x += 3) colours.insert(picture.pixel(x, y));
    }
    EXPECT_GT(colours.size(), 3) << name;
    QSvgRenderer svg(file(".svg"));
    ASSERT_TRUE(svg.isValid()) << name;
    EXPECT_EQ(svg.viewBox().size() * 2, picture.size()) << name;
    QFile pdf(file(".pdf"));
    ASSERT_TRUE(pdf.open(QIODevice::ReadOnly));
    EXPECT_TRUE(pdf.read(5) == "%PDF-") << name;
    EXPECT_NE(write(file(".txt")), "") << name;
    EXPECT_NE(write("/nowhere/x.png"), "") << name;
  }
}

TEST_F(PagesTest, TheMapHasATableOfTheWorst) {
  window_->show_view(View::kCluster);
  ASSERT_TRUE(window_->cluster().colour_by("slowdown"));
  window_->cluster().toggle_table();
  const TableView& table = window_->cluster().table();
  ASSERT_GT(table.visible_rows(), 0);
  EXPECT_EQ(table.visible_rows(), static_cast<int>(window_->cluster().map().worst().size()));
  emit window_->cluster().table().chosen(window_->cluster().map().worst().front());
  EXPECT_TRUE(window_->cluster().map().isVisible());
  EXPECT_EQ(window_->selection().current().devices.front().begin, window_->cluster().map().worst().front());
}

TEST_F(PagesTest, MetricsAreExplainedFromTheRegistry) {
  const RunRecord record = data::sample_run(RunSource::kPredicted);
  const Table table = metrics_table(record, nullptr);
  ASSERT_EQ(table.rows.size(), metric_registry().size());
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Metric& metric = metric_registry()[i];
    const QString tooltip = table.rows[i].cells[0].tooltip;
    for (const std::string_view part : {metric.sentence, metric.formula, metric.definition})
      EXPECT_TRUE(tooltip.contains(to_qt(part).toHtmlEscaped())) << metric.name << ": " << tooltip.toStdString();
  }
}

}  // namespace
}  // namespace lindos::gui
