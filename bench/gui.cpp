// SPDX-License-Identifier: Apache-2.0
// What the desktop costs: repaints of the map, opening a run, start, memory, the longest stall while a verb streams.
// JSON to standard output, milliseconds, medians of 20 and the worst. Run it offscreen (QT_QPA_PLATFORM=offscreen)
// and under Xvfb.
//
//   build/release/bin/gui_bench [FOLDER of lindos]
#include <QApplication>
#include <QElapsedTimer>
#include <QJsonDocument>
#include <QJsonObject>
#include <QSettings>
#include <QTemporaryDir>
#include <QTest>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <limits>
#include <memory>

#include "data/catalogue.h"
#include "data/store/store.h"
#include "gui/app/main_window.h"
#include "gui/charts/timeline_chart.h"

namespace {

using namespace lindos;       // NOLINT: a program, not a header
using namespace lindos::gui;  // NOLINT

constexpr int kRepeats = 20;

struct Timing {
  double median = 0.0, worst = 0.0;
};

Timing timed(const std::function<void()>& work) {
  std::vector<double> times;
  for (int i = 0; i < kRepeats; ++i) {
    QElapsedTimer clock;
    clock.start();
    work();
    times.push_back(static_cast<double>(clock.nsecsElapsed()) * 1e-6);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.back()};
}

QJsonObject json(const Timing& timing) {
  return {{"median_ms", std::round(timing.median * 100) / 100}, {"worst_ms", std::round(timing.worst * 100) / 100}};
}

// The fleet of a scenario with a value for every device; values differ from node to node, as drawn ones do.
DeviceMap drawn_map(const std::string& scenario) {
  const Catalogue catalogue = load_catalogue(default_catalogue_dir());
  DeviceMap map;
  map.pools = pool_shapes(load_scenario(scenario, catalogue));
  for (const Metric& quantity : device_quantity_registry()) {
    std::vector<float> values;
    values.reserve(static_cast<std::size_t>(map.devices()));
    std::uint32_t state = 12345;
    float value = 1.0F;
    for (std::int64_t d = 0; d < map.devices(); ++d) {
      if (d % 8 == 0) {
        state = state * 1664525U + 1013904223U;
        value = 1.0F + static_cast<float>(state >> 8) / 16777216.0F * (state % 997 == 0 ? 0.5F : 0.05F);
      }
      values.push_back(d % 1009 == 0 ? std::numeric_limits<float>::quiet_NaN() : value);
    }
    map.fields.push_back({std::string(quantity.name), encode_field(values)});
  }
  map.stages = {{"train", 0, 0, 0, 8, 8, map.pools.front().devices() / 8}};
  for (int d = 0; d < 200; ++d) map.steps.push_back({d, 10.0 + d * 0.01, 0, d});
  map.shown = 100;
  return map;
}

RunRecord record() {
  RunRecord r;
  r.source = RunSource::kPredicted;
  r.fidelity = "maxplus";
  r.scenario_name = r.plan_name = "bench";
  r.scenario_digest = r.plan_digest = "0";
  r.repeats = 200;
  r.started_utc = "2026-01-01T00:00:00Z";
  r.ledger = {{Cause::kUseful, 0.25, 0.2, 0.3}, {Cause::kStragglerMix, 0.75, 0.7, 0.8}};
  r.environment.hardware = "bench";
  return r;
}

double memory_mb(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(field, 0) == 0) return std::stod(line.substr(line.find(':') + 1)) / 1000.0;
  }
  return 0.0;
}

QJsonObject measure_map(const std::shared_ptr<const Fleet>& fleet, const QSize& size) {
  MapWidget map;
  map.resize(size);
  map.set_fleet(fleet);
  map.set_colour_by("slowdown");
  map.show();
  static_cast<void>(QTest::qWaitForWindowExposed(&map));
  map.repaint();
  QJsonObject out{{"width", map.width()}, {"height", map.height()}};
  // fit() renders all cells again, then names, legend and histogram.
  out["repaint"] = json(timed([&] {
    map.fit();
    map.repaint();
  }));
  out["recolour_and_repaint"] = json(timed([&] {
    map.set_colour_by("slowdown");
    map.repaint();
  }));
  // The rows of the map's table: the thousand worst of all cells, in order.
  out["recolour_and_worst_thousand"] = json(timed([&] {
    map.set_colour_by("slowdown");
    static_cast<void>(map.worst());
  }));
  // From the whole site to one GPU of 96 pixels.
  double worst = 0.0;
  const QPointF at = map.centre_of(fleet->devices() / 2);
  for (int i = 0; i < 60; ++i) {
    QElapsedTimer clock;
    clock.start();
    map.zoom(1.1, at);
    map.repaint();
    worst = std::max(worst, static_cast<double>(clock.nsecsElapsed()) * 1e-6);
  }
  out["zoom_worst_ms"] = std::round(worst * 100) / 100;
  return out;
}

// A window of that size which paints nothing: what it costs to hand its picture to the display.
QJsonObject measure_hand_over(const QSize& size) {
  class Blank : public QWidget {
   public:
    Blank() { setAttribute(Qt::WA_OpaquePaintEvent); }
    void paintEvent(QPaintEvent* /*event*/) override {}
  };
  Blank blank;
  blank.resize(size);
  blank.show();
  static_cast<void>(QTest::qWaitForWindowExposed(&blank));
  return json(timed([&] { blank.repaint(); }));
}

// As many spans as a file may hold, on 64 lanes.
QJsonObject measure_timeline(const QSize& size) {
  constexpr std::size_t kLanes = 64;
  auto timeline = std::make_shared<RunTimeline>();
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    timeline->lanes.push_back({"group", "stage " + std::to_string(lane)});
    const std::size_t spans = kMostSpans / kLanes;
    for (std::size_t i = 0; i < spans; ++i) {
      timeline->spans.push_back(
          {static_cast<std::uint32_t>(lane), i % 3 == 2 ? SpanKind::kBubble : SpanKind::kForward,
           Seconds(static_cast<double>(i) * 0.01), Seconds(0.01), "pass " + std::to_string(i), ""});
    }
  }
  TimelineChart chart;
  chart.resize(size);
  chart.show();
  static_cast<void>(QTest::qWaitForWindowExposed(&chart));
  chart.show_timeline(std::make_shared<const TimelineView>(timeline), "bench");
  const auto paint = [] { QCoreApplication::processEvents(); };
  paint();
  QJsonObject out{{"spans", static_cast<qint64>(timeline->spans.size())}};
  out["all"] = json(timed([&] {
    chart.fit();
    paint();
  }));
  chart.select(timeline->spans.size() / 2);
  paint();
  // From all of it down to one span.
  double slowest = 0.0;
  for (int step = 0; step < 40; ++step) {
    QElapsedTimer clock;
    clock.start();
    QTest::keyClick(&chart, Qt::Key_W);
    paint();
    slowest = std::max(slowest, static_cast<double>(clock.nsecsElapsed()) * 1e-6);
  }
  out["slowest_zoom_ms"] = std::round(slowest * 100) / 100;
  return out;
}

WindowOptions options(const QString& lindos, const std::filesystem::path& store) {
  WindowOptions o;
  o.lindos = lindos;
  o.store = store;
  o.fidelity = "maxplus";
  o.theme = ThemeChoice::kLight;
  return o;
}

void wait_for(const std::function<bool()>& done) {
  while (!done()) QCoreApplication::processEvents(QEventLoop::AllEvents, 5);
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  QApplication::setOrganizationName("lindos");
  QApplication::setApplicationName("gui_bench");
  const QTemporaryDir folder;
  QSettings::setDefaultFormat(QSettings::IniFormat);
  QSettings::setPath(QSettings::IniFormat, QSettings::UserScope, folder.path());
  const QString lindos = (argc > 1 ? QString(argv[1]) : QCoreApplication::applicationDirPath()) + "/lindos";
  const std::string scenarios = LINDOS_SOURCE_DIR "/scenarios/";
  QJsonObject out{{"platform", QGuiApplication::platformName()}};

  const DeviceMap colossus = drawn_map(scenarios + "colossus1-training.toml");
  const DeviceMap million = drawn_map(scenarios + "million-gpus.toml");
  {
    const auto fleet = std::make_shared<const Fleet>(colossus);
    out["map_220k"] = measure_map(fleet, {1600, 1000});
    out["map_220k_4k"] = measure_map(fleet, {3840, 2160});
    out["hand_over_4k"] = measure_hand_over({3840, 2160});
  }
  out["map_1m"] = measure_map(std::make_shared<const Fleet>(million), {1600, 1000});

  out["timeline"] = measure_timeline({1400, 800});

  const std::filesystem::path store_path = folder.filePath("bench.db").toStdString();
  {
    data::Store store = data::Store::open(store_path, data::Store::Mode::kReadWrite);
    const RunRecord r = record();
    store.insert_together({data::NewRun(&r, &colossus)}, "", "{}", "");
    store.insert_together({data::NewRun(&r, &million)}, "", "{}", "");
  }
  QElapsedTimer clock;
  clock.start();
  MainWindow window(options(lindos, store_path));
  window.resize(1600, 1000);
  window.show();
  static_cast<void>(QTest::qWaitForWindowExposed(&window));
  window.repaint();
  out["start_to_first_paint_ms"] = static_cast<double>(clock.elapsed());
  const auto open_run = [&](std::int64_t id) {
    bool shown = false;
    const auto connection = QObject::connect(&window, &MainWindow::settled, &window, [&] { shown = true; });
    QElapsedTimer opening;
    opening.start();
    emit window.runs().run_chosen(id);
    window.show_view(View::kCluster);
    wait_for([&] { return shown; });
    window.repaint();
    QObject::disconnect(connection);
    return static_cast<double>(opening.elapsed());
  };
  wait_for([&] { return window.runs().table().visible_rows() == 2; });
  out["open_220k_ms"] = open_run(1);
  out["open_1m_ms"] = open_run(2);
  out["memory_with_1m_mb"] = std::round(memory_mb("VmRSS"));
  out["memory_peak_mb"] = std::round(memory_mb("VmHWM"));

  // The longest gap between two turns of the event loop while a verb streams and its result is shown.
  QElapsedTimer gap;
  double longest = 0.0;
  QTimer watchdog;
  watchdog.setTimerType(Qt::PreciseTimer);
  QObject::connect(&watchdog, &QTimer::timeout, &watchdog, [&] {
    longest = std::max(longest, static_cast<double>(gap.nsecsElapsed()) * 1e-6);
    gap.restart();
  });
  const auto longest_stall = [&](const char* scenario, const std::function<void()>& verb) {
    bool settled = false;
    const auto connection = QObject::connect(&window, &MainWindow::settled, &window, [&] { settled = true; });
    window.open_scenario(QString::fromStdString(scenarios + scenario));
    wait_for([&] { return settled; });
    settled = false;
    longest = 0.0;
    gap.start();
    watchdog.start(1);
    verb();
    wait_for([&] { return settled; });
    watchdog.stop();
    QObject::disconnect(connection);
    return std::round(longest * 100) / 100;
  };
  out["longest_stall_ms"] = longest_stall("colossus1-training.toml", [&] { window.predict(); });
  // A run that says twice a second what it does, with its charts in sight.
  out["longest_stall_live_ms"] = longest_stall("this-machine.toml", [&] { window.run_twin(); });
  std::printf("%s\n", QJsonDocument(out).toJson().constData());
  return 0;
}
