// SPDX-License-Identifier: Apache-2.0
// Timelines: what is drawn at any zoom is what the file holds; keys and pointer lead to the spans;
// the real window makes one with the real verb.
#include <QAbstractItemModelTester>
#include <QDir>
#include <QFile>
#include <QImage>
#include <QSignalSpy>
#include <QStandardPaths>
#include <QSvgRenderer>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>
#include <memory>
#include <random>

#include <gtest/gtest.h>

#include "gui/app/main_window.h"
#include "gui/pages/timeline_page.h"
#include "tests/data/sample_run.h"
#include "tests/gui/window_fixture.h"

namespace lindos::gui {
namespace {

// Two stages and a request. Stage 0: a long forward, then a thousand short passes in turn with
// bubbles half as long.
std::shared_ptr<const RunTimeline> sample() {
  auto t = std::make_shared<RunTimeline>();
  t->scenario_name = "s";
  t->fidelity = "maxplus";
  t->what = "one step";
  t->cut = "1 of 2 replicas";
  t->lanes = {{"replica 0", "stage 0"}, {"replica 0", "stage 1"}, {"requests", "request 7"}};
  t->spans.push_back(
      {0, SpanKind::kForward, Seconds(0.0), Seconds(1.0), "forward of micro-batch 0", "free"});
  double at = 1.0;
  for (int i = 0; i < 1000; ++i) {
    t->spans.push_back({0, SpanKind::kBackward, Seconds(at), Seconds(1e-6),
                        "backward of micro-batch " + std::to_string(i), ""});
    t->spans.push_back({0, SpanKind::kBubble, Seconds(at + 1e-6), Seconds(0.5e-6), "bubble", ""});
    at += 1.5e-6;
  }
  t->spans.push_back(
      {1, SpanKind::kBubble, Seconds(0.0), Seconds(1.0), "bubble", "waits for stage 0"});
  t->spans.push_back({1, SpanKind::kForward, Seconds(1.0), Seconds(2.0), "forward of micro-batch 0",
                      "its input arrives"});
  t->spans.push_back(
      {2, SpanKind::kArrival, Seconds(0.25), Seconds(0.0), "request 7", "10 tokens in"});
  t->spans.push_back(
      {2, SpanKind::kQueued, Seconds(0.25), Seconds(0.5), "request 7 queued", "full"});
  return t;
}

TEST(TimelineView, RowsAreGroupsAndTheirLanes) {
  const TimelineView view(sample());
  ASSERT_EQ(view.rows().size(), 5u);
  EXPECT_EQ(view.rows()[0].lane, -1);
  EXPECT_EQ(view.rows()[0].text, "replica 0");
  EXPECT_EQ(view.rows()[3].text, "requests");
  EXPECT_EQ(view.group_of_row(2), "replica 0");
  EXPECT_EQ(view.group_of_row(3), "requests");
  EXPECT_EQ(view.row_of_lane(2), 4);
  EXPECT_DOUBLE_EQ(view.end(), 3.0);
}

TEST(TimelineView, WhatIsShorterThanAPixelBecomesTheKindThatFillsIt) {
  const TimelineView view(sample());
  // 3 s over 1000 pixels: the thousand passes of 1.5 ms together lie in one pixel, two thirds of it
  // computing.
  const std::vector<TimelineBar> far = view.bars(0, 0.0, 3.0, 0.003);
  ASSERT_EQ(far.size(), 2u);
  EXPECT_EQ(far[0].span, std::optional<std::size_t>(0));
  EXPECT_EQ(far[1].kind, SpanKind::kBackward);
  EXPECT_FALSE(far[1].span);
  // Zoomed in every one is drawn by itself.
  const std::vector<TimelineBar> near = view.bars(0, 1.0, 1.000015, 1e-8);
  ASSERT_GE(near.size(), 20u);
  for (std::size_t i = 1; i < near.size(); ++i) {
    EXPECT_TRUE(near[i].span);
    EXPECT_NEAR(near[i].from, near[i - 1].to, 1e-12);
  }
}

// Seeded: at any zoom bars are in order, lie in view, and lose no more than a pixel at their edges.
TEST(TimelineView, BarsCoverTheSpansAtAnyZoom) {
  const TimelineView view(sample());
  std::mt19937 random(3);
  std::uniform_real_distribution<double> at(0.0, 3.0), exponent(-6.0, 0.5);
  for (int i = 0; i < 300; ++i) {
    const double from = at(random);
    const double to = from + std::pow(10.0, exponent(random));
    const double pixel = (to - from) / 800;
    double covered = 0.0;
    double last = -1.0;
    for (const TimelineBar& bar : view.bars(0, from, to, pixel)) {
      EXPECT_GE(bar.from, last - pixel * 1.001);
      EXPECT_LE(bar.from, to);
      EXPECT_GE(bar.to, from - pixel);
      last = bar.from;
      covered += std::min(bar.to, to) - std::max(bar.from, from);
    }
    const double end = std::min(to, 1.0015);
    const double filled = std::max(0.0, end - from);
    EXPECT_GE(covered, filled - 3 * pixel);
  }
}

TEST(TimelineView, FindsSpansAndTheirNeighbours) {
  const TimelineView view(sample());
  EXPECT_EQ(view.span_at(0, 0.5, 0.001), std::optional<std::size_t>(0));
  EXPECT_FALSE(view.span_at(0, 2.5, 0.001));  // nothing runs
  const std::size_t waits = *view.span_at(1, 0.5, 0.0);
  EXPECT_EQ(view.timeline().spans[waits].cause, "waits for stage 0");
  EXPECT_EQ(view.neighbour(waits, 1), std::optional(waits + 1));
  EXPECT_FALSE(view.neighbour(waits, -1));
  EXPECT_EQ(view.across(0, 1), std::optional(waits));
  EXPECT_FALSE(view.across(0, -1));
  EXPECT_EQ(view.timeline().spans[*view.across(waits, 1)].kind, SpanKind::kQueued);
  EXPECT_EQ(view.moments(2, 0.0, 1.0).size(), 1u);
}

TEST(TimelineView, TheTableHasWhatIsInView) {
  const TimelineView view(sample());
  EXPECT_EQ(view.count(0.0, 3.0), 2005u);
  EXPECT_EQ(view.table(0.0, 3.0).rows.size(), TimelineView::kMostRows);
  const Table early = view.table(0.0, 0.3);
  ASSERT_EQ(early.rows.size(), 4u);
  EXPECT_EQ(early.rows[0].cells[0].text, "replica 0 · stage 0");
  EXPECT_EQ(early.rows[0].cells[4].text, "1 s");
  EXPECT_EQ(early.rows[3].cells[4].text, "500 ms");
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.set_table(early);
}

TEST(TimelineColours, AreReadableAndOfTheirKind) {
  for (const Theme* theme : {&light_theme(), &dark_theme()}) {
    for (const SpanKindInfo& info : span_kinds())
      EXPECT_GE(contrast(span_colour(info.kind, *theme), theme->base), 3.0) << info.name;
    EXPECT_NE(span_colour(SpanKind::kForward, *theme), span_colour(SpanKind::kBackward, *theme));
    EXPECT_NE(span_colour(SpanKind::kPrefill, *theme), span_colour(SpanKind::kQueued, *theme));
  }
}

class TimelinePageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    page_.resize(1000, 600);
    page_.show_timeline(sample(), "run 1");
    page_.show();
    QTest::qWait(50);  // laid out
  }
  TimelinePage page_;
};

TEST_F(TimelinePageTest, KeysWalkZoomAndTell) {
  TimelineChart& chart = page_.chart();
  QTest::keyClick(&chart, Qt::Key_Right);
  ASSERT_EQ(chart.selected(), std::optional<std::size_t>(0));
  EXPECT_TRUE(page_.details().contains("forward of micro-batch 0"));
  EXPECT_TRUE(page_.details().contains("1 s"));
  QTest::keyClick(&chart, Qt::Key_Down);
  EXPECT_TRUE(page_.details().contains("waits for stage 0"));
  EXPECT_TRUE(page_.details().contains(
      QString::fromUtf8(info_of(SpanKind::kBubble).sentence.data()).left(20)));
  QTest::keyClick(&chart, Qt::Key_Up);
  QTest::keyClick(&chart, Qt::Key_Right);
  QTest::keyClick(&chart, Qt::Key_Return);  // down to one pass of a microsecond
  EXPECT_NEAR(chart.to() - chart.from(), 3e-6, 1e-7);
  EXPECT_TRUE(page_.details().contains("1 µs")) << page_.details().toStdString();
  const double zoomed = chart.to() - chart.from();
  QTest::keyClick(&chart, Qt::Key_S);
  EXPECT_GT(chart.to() - chart.from(), zoomed);
  QTest::keyClick(&chart, Qt::Key_0);
  EXPECT_NEAR(chart.to() - chart.from(), 3.0, 0.1);
  QTest::keyClick(&chart, Qt::Key_Escape);
  EXPECT_FALSE(chart.selected());
}

TEST_F(TimelinePageTest, APointerTellsAndAClickSelects) {
  TimelineChart& chart = page_.chart();
  const auto span = static_cast<std::size_t>(2001);  // stage 1 waits
  const QPointF middle = chart.middle_of(span);
  QWidget* plot = chart.childAt(middle.toPoint());
  ASSERT_NE(plot, nullptr);
  const QPoint inside = plot->mapFrom(&chart, middle.toPoint());
  QTest::mouseMove(plot, inside);
  QTRY_VERIFY_WITH_TIMEOUT(page_.details().contains("waits for stage 0"), kPatience);
  EXPECT_FALSE(chart.selected());
  QTest::mouseClick(plot, Qt::LeftButton, {}, inside);
  EXPECT_EQ(chart.selected(), std::optional(span));
}

// Scrolled down, the top row tells the group and hides no span from the pointer's or the keyboard's
// reach.
TEST_F(TimelinePageTest, TheSelectedLaneIsBelowTheTitleThatStays) {
  page_.resize(1000, 260);  // few rows fit
  auto t = std::make_shared<RunTimeline>(*sample());
  for (std::uint32_t i = 0; i < 60; ++i) {
    t->lanes.push_back({"requests", "request " + std::to_string(8 + i)});
    t->spans.push_back({3 + i, SpanKind::kDecode, Seconds(0.5), Seconds(1.0),
                        "decode " + std::to_string(8 + i), ""});
  }
  page_.show_timeline(t, "run 1");
  QTest::qWait(50);
  ASSERT_TRUE(page_.find("decode 60"));
  ASSERT_TRUE(page_.find("decode 20"));  // upwards again
  TimelineChart& chart = page_.chart();
  const QPointF middle = chart.middle_of(*chart.selected());
  QWidget* plot = chart.childAt(middle.toPoint());
  ASSERT_NE(plot, nullptr);
  const std::size_t wanted = *chart.selected();
  QTest::keyClick(&chart, Qt::Key_Escape);
  QTest::mouseClick(plot, Qt::LeftButton, {}, plot->mapFrom(&chart, middle.toPoint()));
  EXPECT_EQ(chart.selected(), std::optional(wanted));
}

TEST_F(TimelinePageTest, WheelKeepsTheTimeUnderThePointer) {
  TimelineChart& chart = page_.chart();
  const QPointF middle = chart.middle_of(2002);
  QWidget* plot = chart.childAt(middle.toPoint());
  const QPointF inside = plot->mapFrom(&chart, middle);
  for (int i = 0; i < 10; ++i) {
    QWheelEvent event(inside, plot->mapToGlobal(inside), {}, {0, 120}, Qt::NoButton, Qt::NoModifier,
                      Qt::NoScrollPhase, false);
    QApplication::sendEvent(plot, &event);
  }
  EXPECT_LT(chart.to() - chart.from(), 0.5);
  EXPECT_NEAR(chart.middle_of(2002).x(), middle.x(), 2.0);
}

TEST_F(TimelinePageTest, TheTableLeadsBackToTheChart) {
  page_.toggle_table();
  EXPECT_EQ(page_.table().visible_rows(), static_cast<int>(TimelineView::kMostRows));
  page_.table().select_key(5);
  QTest::keyClick(&page_.table(), Qt::Key_Return);
  EXPECT_EQ(page_.chart().selected(), std::optional<std::size_t>(5));
  EXPECT_TRUE(page_.chart().isVisible());
}

TEST_F(TimelinePageTest, FindGoesFromOneToTheNext) {
  EXPECT_TRUE(page_.find("MICRO-BATCH 999"));
  EXPECT_TRUE(page_.details().contains("backward of micro-batch 999"));
  EXPECT_TRUE(page_.find("stage 1"));
  const auto first = page_.chart().selected();
  EXPECT_TRUE(page_.find("stage 1"));
  EXPECT_NE(page_.chart().selected(), first);
  EXPECT_TRUE(page_.find("stage 1"));
  EXPECT_EQ(page_.chart().selected(), first);  // round
  EXPECT_FALSE(page_.find("stage 7"));
  EXPECT_TRUE(page_.details().contains("stage 7"));
}

TEST_F(TimelinePageTest, ExportsPictures) {
  QTemporaryDir folder;
  page_.chart().zoom_to(0);
  for (const char* name : {"t.png", "t.svg", "t.pdf"})
    EXPECT_EQ(page_.chart().export_to(folder.filePath(name)), "");
  EXPECT_FALSE(QImage(folder.filePath("t.png")).isNull());
  EXPECT_TRUE(QSvgRenderer(folder.filePath("t.svg")).isValid());
  EXPECT_NE(page_.chart().export_to(folder.filePath("t.gif")), "");
}

class TimelineWindowTest : public WindowFixture {
 protected:
  WindowOptions options() {
    return window_options("maxplus");
  }
  void SetUp() override { QDir(kept()).removeRecursively(); }
  static QString kept() {
    return QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/timelines";
  }
};

// F5 brings the timeline of a training step; it is the step that the map of GPUs shows.
TEST_F(TimelineWindowTest, APredictionHasItsTimeline) {
  MainWindow window(options());
  window.show();
  settle(window, [&] {
    window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml",
                         AfterOpen::kPredict);
  });
  ASSERT_TRUE(window.timeline().filled()) << window.timeline().empty_text().toStdString();
  QTest::keyClick(&window, Qt::Key_4, Qt::ControlModifier);
  QTRY_VERIFY_WITH_TIMEOUT(window.timeline().isVisible(), kPatience);
  const data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadOnly);
  const auto map = store.load_device_map(1);
  ASSERT_TRUE(map);
  window.timeline().chart().fit();
  EXPECT_NEAR(window.timeline().chart().to(),
              map->steps[static_cast<std::size_t>(map->shown)].step_s, 1e-6);

  // Another run of the store has none kept: it is made again from its scenario.
  QDir(kept()).removeRecursively();
  settle(window, [&] { emit window.runs().run_chosen(1); });
  ASSERT_FALSE(window.timeline().filled());
  EXPECT_TRUE(window.timeline().can_make());
  EXPECT_TRUE(window.timeline().empty_text().contains("run 1"));
  settle(window, [&] { window.make_timeline(); });
  EXPECT_TRUE(window.timeline().filled()) << window.message().text().toStdString();
  EXPECT_EQ(store.list({}).size(), 1u);  // looking adds no run

  // A file of another kind is refused inline.
  const QString wrong = QString::fromStdString((folder_ / "wrong.json").string());
  QFile file(wrong);
  ASSERT_TRUE(file.open(QIODevice::WriteOnly));
  file.write(R"({"format": "lindos-plan", "version": 1})");
  file.close();
  settle(window, [&] { window.open_timeline(wrong); });
  EXPECT_FALSE(window.timeline().filled());
  EXPECT_TRUE(window.message().text().contains("wrong.json"))
      << window.message().text().toStdString();
}

TEST_F(TimelineWindowTest, TheClosedRungSaysThatItHasNone) {
  WindowOptions o = options();
  o.fidelity = "closed";
  MainWindow window(o);
  window.show();
  settle(window, [&] {
    window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/one-h200-llama8b.toml", AfterOpen::kPredict);
  });
  ASSERT_TRUE(window.why().run()) << window.message().text().toStdString();
  EXPECT_TRUE(window.timeline().empty_text().contains("closed"));
  EXPECT_FALSE(window.timeline().can_make());
}

}  // namespace
}  // namespace lindos::gui
