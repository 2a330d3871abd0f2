// SPDX-License-Identifier: Apache-2.0
// Live: samples as lines with gaps, what is predicted behind them, the alarm and its cause, following and stopping, a stream
// that stalls, a child that is killed, and a real run.
#include <gtest/gtest.h>
#include <signal.h>

#include <QAbstractItemModelTester>
#include <QApplication>
#include <QFile>
#include <QSignalSpy>
#include <QTemporaryDir>
#include <QTest>
#include <cmath>
#include <limits>

#include "gui/app/main_window.h"
#include "gui/work/progress_reader.h"
#include "tests/data/sample_run.h"
#include "tests/gui/window_fixture.h"

namespace lindos::gui {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

RunRecord prediction() {
  RunRecord record = data::sample_run(RunSource::kPredicted);
  record.metrics["output_tokens_per_s"] = {98.0, 100.0, 120.0, "token/s", "modelled"};
  record.metrics["tpot_s"] = {0.010, 0.010, 0.010, "s", "modelled"};
  return record;
}

RunSample sample(double t, std::map<std::string, double> values, const std::string& phase = "run 1 of 1") {
  for (const auto& [name, value] : std::map<std::string, double>(values)) {
    if (std::isnan(value)) values.erase(name);
  }
  return {t, phase, {{"run", std::move(values), {}}}};
}

const Metric& quantity(const char* name) { return *find_sample_quantity(name); }

RunSample of_devices(double t, int devices, int slow) {
  RunSample out{t, "run 1 of 1", {{"run", {{"output_tokens_per_s", 100.0}}, {}}}};
  for (int i = 0; i < devices; ++i) {
    out.subjects.push_back({"gpu " + std::to_string(i), {{"sm_clock_hz", i == slow ? 1.2e9 : 1.98e9 - i * 1e5}, {"power_w", 500.0 + i}}, {}});
  }
  return out;
}

// Above 16 devices lines say nothing: a map of all and the eight worst.
TEST(LiveView, OfManyDevicesTheWorstAreShown) {
  LiveView view;
  view.add(of_devices(0.5, 16, 5));
  EXPECT_EQ(view.shown_lines(quantity("sm_clock_hz")).size(), 16u);
  view.add(of_devices(1.0, 64, 5));
  const auto lines = view.shown_lines(quantity("sm_clock_hz"));
  ASSERT_EQ(lines.size(), LiveView::kWorstShown);
  EXPECT_EQ(lines[0].subject, "gpu 5");   // the slowest clock
  EXPECT_EQ(lines[1].subject, "gpu 63");
  EXPECT_EQ(view.shown_lines(quantity("power_w"))[0].subject, "gpu 63");  // the most power
  EXPECT_EQ(view.shown_lines(quantity("sm_clock_hz"), "gpu 20").back().subject, "gpu 20");
  EXPECT_EQ(view.lines(quantity("sm_clock_hz")).size(), 64u);  // a file has all
  EXPECT_EQ(view.cells(quantity("sm_clock_hz")).at(5).value, 1200.0);  // MHz
}

TEST(LiveMap, TheWorstStandOutAndAnyCanBeChosen) {
  LiveView view;
  view.add(of_devices(0.5, 64, 5));
  LiveMap map;
  map.resize(600, 120);
  map.show();
  map.show_cells(quantity("sm_clock_hz"), view.cells(quantity("sm_clock_hz")));
  EXPECT_EQ(map.worst().front(), 5u);
  EXPECT_NE(map.colour_of(5), map.colour_of(0));
  // All of them stand inside, apart from each other.
  for (std::size_t i = 0; i < 64; ++i) EXPECT_TRUE(QRectF(map.rect()).contains(map.cell_box(i))) << i;
  EXPECT_FALSE(map.cell_box(0).intersects(map.cell_box(1)));
  EXPECT_EQ(map.grab().toImage().pixelColor(map.cell_box(5).center().toPoint()), map.colour_of(5));
  QSignalSpy chosen(&map, &LiveMap::cell_chosen);
  QTest::mouseClick(&map, Qt::LeftButton, {}, map.cell_box(7).center().toPoint());
  EXPECT_EQ(map.chosen(), "gpu 7");
  QTest::keyClick(&map, Qt::Key_Right);
  EXPECT_EQ(map.chosen(), "gpu 8");
  EXPECT_TRUE(map.accessibleDescription().startsWith("gpu 8: "));
  EXPECT_EQ(chosen.count(), 2);
  // A hundred thousand still fit.
  LiveView many;
  many.add(of_devices(0.5, 100'000, 5));
  map.show_cells(quantity("sm_clock_hz"), many.cells(quantity("sm_clock_hz")));
  EXPECT_TRUE(QRectF(map.rect()).adjusted(-1, -1, 1, 1).contains(map.cell_box(99'999)));
}

TEST(LiveView, AMissingSampleBreaksTheLine) {
  LiveView view;
  view.expect(prediction());
  for (int i = 1; i <= 5; ++i)
    view.add(sample(0.5 * i, {{"output_tokens_per_s", 90.0 + i}, {"ttft_s", i == 3 ? kNone : 0.2}}));
  ASSERT_EQ(view.quantities().size(), 2u);
  const LiveLine line = view.lines(quantity("ttft_s")).at(0);
  ASSERT_EQ(line.values.size(), 5u);
  EXPECT_TRUE(std::isnan(line.values[2]));
  EXPECT_DOUBLE_EQ(line.values[3], 200.0);  // ms
  EXPECT_EQ(view.newest("output_tokens_per_s"), 95.0);

  LiveChart chart(quantity("ttft_s"));
  chart.set_data(view.lines(quantity("ttft_s")), 1, view.band(quantity("ttft_s")));
  chart.redraw();
  EXPECT_EQ(chart.drawn(), 4);
  EXPECT_EQ(chart.gaps(), 1);
}

TEST(LiveView, TheBandIsThePredictionsButNotNarrowerThanTenPerCent) {
  LiveView view;
  EXPECT_FALSE(view.band(quantity("tpot_s")));
  view.expect(prediction());
  const LiveBand tokens = view.band(quantity("output_tokens_per_s")).value();
  EXPECT_DOUBLE_EQ(tokens.low, 90.0);     // P10 is 98
  EXPECT_DOUBLE_EQ(tokens.high, 120.0);   // P90
  const LiveBand tpot = view.band(quantity("tpot_s")).value();
  EXPECT_DOUBLE_EQ(tpot.low, 9.0);
  EXPECT_DOUBLE_EQ(tpot.middle, 10.0);
  EXPECT_DOUBLE_EQ(tpot.high, 11.0);
  EXPECT_FALSE(view.band(quantity("power_w")));
}

TEST(LiveView, KeepsTheNewest) {
  LiveView view;
  for (std::size_t i = 1; i <= LiveView::kKept + 10; ++i)
    view.add(sample(0.5 * static_cast<double>(i), {{"kv_used", static_cast<double>(i)}}));
  EXPECT_EQ(view.lines(quantity("kv_used")).at(0).values.size(), LiveView::kKept);
  EXPECT_DOUBLE_EQ(view.begin(), 0.5 * 11);
  view.add(sample(1.0, {{"kv_used", 0.0}}));  // time that goes back
  EXPECT_DOUBLE_EQ(view.end(), 0.5 * static_cast<double>(LiveView::kKept + 10));
}

TEST(LiveView, SaysHowFarOffAndWhatIsNotThere) {
  LiveView view;
  EXPECT_EQ(view.numbers(true)[2].value, "–");
  view.expect(prediction());
  RunSample s = sample(0.5, {{"output_tokens_per_s", 120.0}, {"mean_output_tokens_per_s", 95.8}, {"cpu_busy", 0.5}});
  s.subjects.push_back({"gpu", {}, {{"power_w", "the run computes on the CPU"}, {"gpu_busy", "the run computes on the CPU"}}});
  view.add(s);
  const auto numbers = view.numbers(true);
  EXPECT_EQ(numbers[0].value, "120.0 token/s");
  EXPECT_EQ(numbers[1].label, "CPU busy");
  EXPECT_EQ(numbers[1].value, "50.0 %");
  EXPECT_EQ(numbers[2].value, "−4.2 %");
  EXPECT_EQ(view.numbers(false)[0].value, "95.80 token/s");
  EXPECT_EQ(view.absences(), QStringList("GPU busy, Power: the run computes on the CPU"));
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.set_table(view.table());
  EXPECT_EQ(model.rowCount(), 5);
}

// Windows of four samples; the third in a row outside is the alarm.
TEST(LiveView, ThreeSlowWindowsRaiseTheAlarm) {
  LiveView view;
  view.expect(prediction());
  double t = 0.0;
  const auto window = [&](double rate, double tpot, std::map<std::string, double> also = {}) {
    for (std::size_t i = 0; i < LiveView::kWindowSamples; ++i) {
      also["output_tokens_per_s"] = rate;
      also["tpot_s"] = tpot;
      view.add(sample(t += 0.5, also));
    }
  };
  window(50.0, kNone);
  window(50.0, kNone);
  EXPECT_EQ(view.alarm(), "");
  window(100.0, kNone);  // in the band again
  window(50.0, kNone);
  window(200.0, kNone);  // faster is no fault
  window(50.0, kNone);
  window(50.0, kNone);
  EXPECT_EQ(view.alarm(), "");
  window(0.0, kNone);  // prompts alone say nothing
  EXPECT_EQ(view.alarm(), "");
  window(50.0, kNone, {{"cpu_busy", 0.4}, {"running_requests", 3}});
  EXPECT_TRUE(view.alarm().contains("Output tokens per second has been outside")) << view.alarm().toStdString();
  EXPECT_TRUE(view.alarm().contains("only 40.0 % of the cores")) << view.alarm().toStdString();
  window(100.0, 0.010);
  EXPECT_EQ(view.alarm(), "");
  for (int i = 0; i < 3; ++i) window(100.0, 0.0111, {{"kv_used", 1.0}, {"waiting_requests", 7}, {"running_requests", 3}, {"cpu_busy", 1.0}});
  EXPECT_TRUE(view.alarm().contains("Time per output token")) << view.alarm().toStdString();
  EXPECT_TRUE(view.alarm().contains("all KV blocks are in use and 7 requests wait")) << view.alarm().toStdString();
}

TEST(LiveView, AStragglerIsNamed) {
  LiveView view;
  view.expect(prediction());
  for (int i = 1; i <= 12; ++i) {
    RunSample s = sample(0.5 * i, {{"output_tokens_per_s", 50.0}});
    for (int gpu = 0; gpu < 4; ++gpu)
      s.subjects.push_back({"gpu " + std::to_string(gpu), {{"sm_clock_hz", gpu == 2 ? 1.41e9 : 1.98e9}, {"gpu_busy", 1.0}}, {}});
    view.add(s);
  }
  EXPECT_TRUE(view.alarm().contains("gpu 2 is a straggler, at 1410 MHz where the median runs at 1980 MHz"))
      << view.alarm().toStdString();
}

TEST(ProgressReader, SamplesAndRecordsComeWhole) {
  ProgressReader reader;
  const auto events = reader.feed(
      "{\"event\":\"telemetry\",\"t_s\":1.5,\"phase\":\"run 1 of 1\",\"subjects\":{\"run\":{\"values\":{\"ttft_s\":0.25,"
      "\"unheard_of\":1,\"tpot_s\":\"x\"},\"absent\":{\"power_w\":\"why\"}}}}\n"
      "{\"event\":\"telemetry\",\"t_s\":-1,\"subjects\":{}}\n{\"event\":\"telemetry\",\"t_s\":1}\n"
      "{\"event\":\"partial\",\"record\":{\"source\":\"predicted\"}}\n{\"event\":\"partial\",\"record\":" +
      QByteArray::fromStdString(to_json(prediction(), -1)) + "}\n");
  ASSERT_EQ(events.size(), 5u);
  const RunSample& s = std::get<SampleEvent>(events[0]).sample;
  EXPECT_EQ(s, (RunSample{1.5, "run 1 of 1", {{"run", {{"ttft_s", 0.25}}, {{"power_w", "why"}}}}}));
  for (std::size_t i : {1u, 2u, 3u}) EXPECT_TRUE(std::holds_alternative<TextLine>(events[i])) << i;
  EXPECT_EQ(std::get<PartialEvent>(events[4]).record, prediction());
}

class LivePageTest : public ::testing::Test {
 protected:
  LivePageTest() {
    page_.resize(1000, 700);
    page_.show();
  }
  LivePage page_;
};

TEST_F(LivePageTest, FollowsUntilTheTimeIsMoved) {
  page_.show_empty("nothing");
  EXPECT_FALSE(page_.filled());
  page_.begin("x", prediction());
  EXPECT_TRUE(page_.state().contains("No sample yet"));
  for (int i = 1; i <= 400; ++i) page_.add(sample(i, {{"output_tokens_per_s", 100.0}, {"cpu_busy", 0.5}}));
  QTRY_COMPARE(page_.charts().size(), 2u);
  QTRY_COMPARE(page_.range().second, 400.0);
  EXPECT_DOUBLE_EQ(page_.range().first, 100.0);  // five minutes
  EXPECT_TRUE(page_.following());
  QTest::keyClick(&page_, Qt::Key_A);
  EXPECT_FALSE(page_.following());
  const auto moved = page_.range();
  page_.add(sample(401, {{"output_tokens_per_s", 100.0}}));
  QTRY_COMPARE(page_.charts()[0]->drawn(), 401);
  EXPECT_EQ(page_.range(), moved);
  QTest::keyClick(&page_, Qt::Key_M);
  QTest::keyClick(&page_, Qt::Key_End);
  EXPECT_TRUE(page_.following());
  QTRY_COMPARE(page_.range().second, 401.0);
  page_.end("over");
  EXPECT_EQ(page_.state(), "over");
  page_.add(sample(402, {{"output_tokens_per_s", 1.0}}));  // a straggling line of another run
  EXPECT_DOUBLE_EQ(page_.view().end(), 401.0);
}

TEST_F(LivePageTest, AStalledStreamIsSaid) {
  page_.set_patience(std::chrono::milliseconds(1200));
  page_.begin("x", std::nullopt);
  page_.add(sample(0.5, {{"output_tokens_per_s", 100.0}}));
  QTRY_VERIFY(page_.state().contains("run 1 of 1"));
  QTRY_VERIFY(page_.state().contains("No data for 1 s; the run is still alive."));
  QTRY_VERIFY(page_.state().contains("No data for 2 s"));  // and the age counts
  page_.add(sample(1.0, {{"output_tokens_per_s", 100.0}}));
  QTRY_VERIFY(page_.state().contains("run 1 of 1"));
}

TEST_F(LivePageTest, ExportsWhatItShows) {
  page_.begin("x", prediction());
  page_.add(sample(0.5, {{"ttft_s", 0.25}}));
  page_.add(sample(1.0, {{"output_tokens_per_s", 80.0}}));
  const QTemporaryDir folder;
  EXPECT_EQ(page_.export_to(folder.filePath("a.csv")), "");
  QFile file(folder.filePath("a.csv"));
  ASSERT_TRUE(file.open(QIODevice::ReadOnly));
  EXPECT_EQ(file.readAll(),
            "subject,quantity,definition,unit,t_s,value\nrun,output_tokens_per_s,sampled_output_tokens_per_s/1,token/s,1,80\n"
            "run,ttft_s,sampled_ttft_s/1,s,0.5,0.25\n");
  EXPECT_EQ(page_.export_to(folder.filePath("a.png")), "");
  EXPECT_NE(page_.export_to(folder.filePath("a.txt")), "");
  EXPECT_NE(page_.export_to("/nowhere/a.csv"), "");
}

class LiveWindowTest : public WindowFixture {
 protected:
  WindowOptions options(const QString& lindos = LINDOS_BIN_DIR "/lindos") {
    WindowOptions o = window_options("closed");
    o.lindos = lindos;
    return o;
  }
  // Samples, then `rest`.
  QString fake(const QByteArray& rest) {
    const QString path = QString::fromStdString((folder_ / "lindos").string());
    QFile file(path);
    EXPECT_TRUE(file.open(QIODevice::WriteOnly));
    file.write("#!/bin/bash\nfor i in 1 2 3; do echo '{\"event\":\"telemetry\",\"t_s\":'$i',\"phase\":\"run 1 of 1\","
               "\"subjects\":{\"run\":{\"values\":{\"output_tokens_per_s\":100}}}}' >&2; done\n" + rest + "\n");
    file.close();
    file.setPermissions(QFile::ReadOwner | QFile::WriteOwner | QFile::ExeOwner);
    return path;
  }
};

// The samples that a real run streams are those that the store keeps of it.
TEST_F(LiveWindowTest, ARealRunIsSeenAndKept) {
  MainWindow window(options());
  window.show();
  settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/this-machine.toml"); });
  QSignalSpy sampled(&window.job(), &Job::sampled);
  window.run_here();
  EXPECT_TRUE(window.live().running());
  QTRY_VERIFY_WITH_TIMEOUT(!window.live().charts().empty(), kPatience);
  EXPECT_NE(window.live().number(0), "–");
  QSignalSpy settled(&window, &MainWindow::settled);
  while (window.live().running()) ASSERT_TRUE(settled.wait(kPatience));
  QTRY_VERIFY_WITH_TIMEOUT(window.why().run().has_value(), kPatience);

  const data::Store store = data::Store::open(folder_ / "lindos.db", data::Store::Mode::kReadOnly);
  const RunSamples kept = store.load_run_samples(1).value();
  EXPECT_EQ(kept.phases.size(), 3u);
  for (const SampleSeries& series : kept.series) {
    if (!series.points.empty()) EXPECT_EQ(static_cast<int>(series.points.size()), sampled.count()) << series.quantity;
  }
  // The tokens of a window, summed, are the tokens of the run: 3 repeats of 8 requests of 32 tokens.
  const auto& view = window.live().view();
  ASSERT_FALSE(view.empty());
  const LiveLine rate = view.lines(quantity("output_tokens_per_s")).at(0);
  ASSERT_EQ(static_cast<int>(rate.values.size()), sampled.count());
  const RunRecord record = store.load(1);
  EXPECT_EQ(window.why().run()->record, record);
  // Both over the same repeat; the record's clock stops at the last token, the sampler's half a period later at most.
  const double mean = view.newest("mean_output_tokens_per_s").value();
  EXPECT_NEAR(mean, record.metrics.at("output_tokens_per_s").p50, 0.35 * mean);
  // Its timeline came with it.
  ASSERT_TRUE(window.timeline().filled());
}

TEST_F(LiveWindowTest, AKilledChildLeavesWhatItSaid) {
  MainWindow window(options(fake("sleep 60")));
  window.show();
  settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/this-machine.toml"); });
  QSignalSpy sampled(&window.job(), &Job::sampled);
  window.run_here();
  while (sampled.count() < 3) ASSERT_TRUE(sampled.wait(kPatience));
  settle(window, [&] { ::kill(static_cast<pid_t>(window.job().process_id()), SIGKILL); });
  EXPECT_FALSE(window.live().running());
  EXPECT_TRUE(window.live().state().contains("ended early: run ended by signal 9")) << window.live().state().toStdString();
  EXPECT_DOUBLE_EQ(window.live().view().end(), 3.0);
  window.run_here();  // and again
  EXPECT_TRUE(window.live().running());
  EXPECT_TRUE(window.live().view().empty());
  settle(window, [&] {
    window.stop();
    window.stop();
  });
}

TEST_F(LiveWindowTest, AStalledChildIsSaidToBeAlive) {
  MainWindow window(options(fake("sleep 60")));
  window.show();
  window.live().set_patience(std::chrono::milliseconds(300));
  settle(window, [&] { window.open_scenario(LINDOS_SOURCE_DIR "/scenarios/this-machine.toml"); });
  window.run_here();
  QTRY_VERIFY_WITH_TIMEOUT(window.live().state().contains("the run is still alive"), kPatience);
  settle(window, [&] {
    window.stop();
    window.stop();
  });
  EXPECT_TRUE(window.live().state().contains("was stopped")) << window.live().state().toStdString();
}

}  // namespace
}  // namespace lindos::gui
