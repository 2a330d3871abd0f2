// SPDX-License-Identifier: Apache-2.0
// Six key screens in both themes against pictures in tests/gui/golden. A pixel differs when a channel is off by more than 8 of
// 255; more than 0.02 % of such pixels fail the test, and expected, seen and difference are written side by side. The font is
// that of the package fonts-dejavu-core, taken from its files: what else the machine has does not matter. Another version of Qt
// draws other pixels (golden/font.txt): then the test skips and says so.
// `gui_test --gtest_filter='Golden*' --update-golden` writes them anew; look at each before it is committed.
#include <gtest/gtest.h>

#include <QApplication>
#include <QDir>
#include <QFile>
#include <QFontDatabase>
#include <QFontInfo>
#include <QFontMetrics>
#include <QHash>
#include <QImage>
#include <QLocale>
#include <QPainter>
#include <QSettings>
#include <QSignalSpy>
#include <QTest>
#include <algorithm>
#include <cmath>

#include "gui/app/main_window.h"
#include "tests/data/sample_map.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr int kPatience = 240000;
constexpr int kChannel = 8;
constexpr double kPixels = 0.0002;
constexpr qint64 kMostBytes = 60000;
const QString kFolder = LINDOS_SOURCE_DIR "/tests/gui/golden/";

// The files of tools/packages.txt; headlines are bold.
QFont golden_font() {
  for (const char* file : {"DejaVuSans.ttf", "DejaVuSans-Bold.ttf"}) {
    const QString path = QString("/usr/share/fonts/truetype/dejavu/") + file;
    EXPECT_GE(QFontDatabase::addApplicationFont(path), 0)
        << path.toStdString() << " cannot be read: tools/setup installs fonts-dejavu-core";
  }
  QFont font("DejaVu Sans", 9);
  // Grey text: coloured fringes double a picture's size and say nothing.
  font.setStyleStrategy(QFont::NoSubpixelAntialias);
  font.setHintingPreference(QFont::PreferNoHinting);
  return font;
}

// What decides how text looks.
QByteArray font_print() {
  const QFont font = QApplication::font();
  const QFontMetrics metrics(font);
  return QString("%1 %2 pt, %3 px for a sentence, line %4, Qt %5\n")
      .arg(QFontInfo(font).family())
      .arg(QFontInfo(font).pointSizeF())
      .arg(metrics.horizontalAdvance("The quick brown fox jumps over 1,234,567 lazy dogs · µs – ×"))
      .arg(metrics.height())
      .arg(qVersion())
      .toUtf8();
}

QByteArray read(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

RunRecord record_of(RunSource source) {
  RunRecord record = data::sample_run(source);
  record.scenario_name = "golden";
  record.metrics["output_tokens_per_s"] = source == RunSource::kMeasured
                                              ? MetricValue{92.0, 94.0, 95.0, "token/s", "measured"}
                                              : MetricValue{96.0, 100.0, 104.0, "token/s", "modelled"};
  return record;
}

RunSamples samples() {
  RunSamples out;
  out.phases = {{0.0, "run 1 of 2"}, {30.0, "run 2 of 2"}};
  SampleSeries rate{"run", "output_tokens_per_s", "", {}}, mean{"run", "mean_output_tokens_per_s", "", {}},
      ttft{"run", "ttft_s", "", {}}, busy{"run", "cpu_busy", "", {}};
  for (int i = 1; i <= 120; ++i) {
    const auto t = static_cast<float>(0.5 * i);
    const double wave = std::sin(0.2 * i);
    rate.points.push_back({t, static_cast<float>(94.0 + 8.0 * wave)});
    mean.points.push_back({t, static_cast<float>(94.0 - 60.0 / ((i - 1) % 60 + 1))});
    ttft.points.push_back({t, i % 3 == 0 ? std::nanf("") : static_cast<float>(0.9 + 0.2 * wave)});
    busy.points.push_back({t, static_cast<float>(0.95 + 0.03 * wave)});
  }
  out.series = {rate, mean, ttft, busy, {"gpu", "power_w", "the run computes on the CPU", {}}};
  return out;
}

RunTimeline timeline(RunSource source) {
  const double slow = source == RunSource::kMeasured ? 1.1 : 1.0;
  RunTimeline t;
  t.source = source;
  t.scenario_name = "golden";
  t.plan_name = "tp2";
  t.scenario_digest = t.plan_digest = std::string(32, 'a');
  t.fidelity = source == RunSource::kMeasured ? "engine" : "maxplus";
  t.what = "the first requests";
  t.lanes = {{"replica: stages", "stage 0"}, {"replica: requests", "request 0"}, {"replica: requests", "request 1"}};
  for (int i = 0; i < 12; ++i) {
    t.spans.push_back({0, i % 4 == 0 ? SpanKind::kPrefillStep : SpanKind::kDecodeStep, Seconds{0.1 * i * slow},
                       Seconds{0.095 * slow}, "step " + std::to_string(i + 1), ""});
  }
  for (std::uint32_t r = 0; r < 2; ++r) {
    const std::string name = "request " + std::to_string(r);
    const double at = 0.05 + 0.3 * r;
    t.spans.push_back({r + 1, SpanKind::kArrival, Seconds{at}, Seconds{0}, name, ""});
    t.spans.push_back({r + 1, SpanKind::kQueued, Seconds{at}, Seconds{0.05}, name + " queued", ""});
    t.spans.push_back({r + 1, SpanKind::kPrefill, Seconds{at + 0.05}, Seconds{0.2 * slow}, name + " prefill", ""});
    t.spans.push_back({r + 1, SpanKind::kDecode, Seconds{at + 0.05 + 0.2 * slow}, Seconds{0.6 * slow}, name + " decode", ""});
  }
  return t;
}

class GoldenTest : public ::testing::TestWithParam<ThemeChoice> {
 protected:
  GoldenTest() {
    QLocale::setDefault(QLocale::c());
    QSettings().clear();
    QApplication::setFont(golden_font());
  }
  ~GoldenTest() override {
    QLocale::setDefault(QLocale::system());
    QApplication::setFont(font_);
  }

  const QFont font_ = QApplication::font();

  void compare(const QString& name, QWidget& widget) {
    QTest::qWait(50);  // queued replots
    QImage seen = widget.grab().toImage().convertToFormat(QImage::Format_RGB32);
    // Half of the tolerance at most, and a third of the bytes.
    for (int y = 0; y < seen.height(); ++y) {
      auto* line = reinterpret_cast<QRgb*>(seen.scanLine(y));
      for (int x = 0; x < seen.width(); ++x) line[x] = (line[x] & 0xFFF8F8F8) | 0xFF040404;
    }
    const QString file = name + (GetParam() == ThemeChoice::kDark ? "-dark.png" : "-light.png");
    if (QApplication::arguments().contains("--update-golden")) {
      // One byte a pixel: the 256 colours that most pixels have; of a few pixels the nearest of them.
      QHash<QRgb, int> pixels;
      for (int y = 0; y < seen.height(); ++y) {
        for (int x = 0; x < seen.width(); ++x) ++pixels[seen.pixel(x, y)];
      }
      QVector<QRgb> colours(pixels.keyBegin(), pixels.keyEnd());
      std::sort(colours.begin(), colours.end(), [&](QRgb a, QRgb b) { return std::pair(-pixels[a], a) < std::pair(-pixels[b], b); });
      colours.resize(std::min<qsizetype>(colours.size(), 256));
      const QImage small = seen.convertToFormat(QImage::Format_Indexed8, colours, Qt::ThresholdDither | Qt::AvoidDither);
      ASSERT_TRUE(small.save(kFolder + file, "PNG", 0));
      EXPECT_LE(QFile(kFolder + file).size(), kMostBytes) << file.toStdString();
      return;
    }
    const QImage expected = QImage(kFolder + file).convertToFormat(QImage::Format_RGB32);
    ASSERT_FALSE(expected.isNull()) << file.toStdString() << " is missing: --update-golden writes it";
    ASSERT_EQ(seen.size(), expected.size()) << file.toStdString();
    QImage difference(seen.size(), QImage::Format_RGB32);
    qint64 off = 0;
    for (int y = 0; y < seen.height(); ++y) {
      for (int x = 0; x < seen.width(); ++x) {
        const QRgb a = seen.pixel(x, y), b = expected.pixel(x, y);
        const int most = std::max({std::abs(qRed(a) - qRed(b)), std::abs(qGreen(a) - qGreen(b)), std::abs(qBlue(a) - qBlue(b))});
        off += most > kChannel ? 1 : 0;
        difference.setPixel(x, y, most > kChannel ? qRgb(255, 0, 0) : qRgb(255 - most * 8, 255 - most * 8, 255 - most * 8));
      }
    }
    const double share = static_cast<double>(off) / (static_cast<double>(seen.width()) * seen.height());
    if (share <= kPixels) return;
    QImage all(seen.width() * 3, seen.height(), QImage::Format_RGB32);
    QPainter painter(&all);
    for (int i = 0; i < 3; ++i) painter.drawImage(i * seen.width(), 0, i == 0 ? expected : i == 1 ? seen : difference);
    painter.end();
    const QString shown = QDir::current().absoluteFilePath("golden-difference-" + file);
    all.save(shown);
    ADD_FAILURE() << file.toStdString() << ": " << share * 100.0 << " % of the pixels differ; expected, seen and difference in "
                  << shown.toStdString();
  }
};

TEST_P(GoldenTest, SixScreens) {
  const bool updates = QApplication::arguments().contains("--update-golden");
  if (updates && GetParam() == ThemeChoice::kLight) {
    QFile file(kFolder + "font.txt");
    ASSERT_TRUE(file.open(QIODevice::WriteOnly));
    file.write(font_print());
  }
  const QByteArray made_with = read(kFolder + "font.txt");
  if (!updates && !made_with.contains(QString("Qt %1\n").arg(qVersion()).toUtf8()))
    GTEST_SKIP() << "the pictures were made with " << made_with.constData() << "here: Qt " << qVersion();
  ASSERT_EQ(read(kFolder + "font.txt"), font_print());

  // Run 1 predicted with a device map, run 2 measured with samples and its timeline.
  const data::ScratchFolder folder;
  {
    data::Store store = data::Store::open(folder / "golden.db", data::Store::Mode::kReadWrite);
    const RunRecord predicted = record_of(RunSource::kPredicted);
    const DeviceMap map = data::sample_map();
    store.insert_together({data::NewRun(&predicted, &map)}, "[scenario]", "{}", "");
    const RunRecord measured = record_of(RunSource::kMeasured);
    const RunSamples said = samples();
    const std::string spans = to_json(timeline(RunSource::kMeasured));
    store.insert_together({data::NewRun(&measured, nullptr, &said, &spans)}, "[scenario]", "{}", "");
  }
  WindowOptions options;
  options.lindos = "/nowhere/lindos";
  options.store = folder / "golden.db";
  options.theme = GetParam();
  MainWindow window(options);
  window.resize(1000, 700);
  QSignalSpy listed(&window, &MainWindow::settled);
  window.show();
  ASSERT_TRUE(listed.wait(kPatience));
  QTRY_VERIFY_WITH_TIMEOUT(window.accuracy().pairs().visible_rows() > 0, kPatience);
  compare("start", window);
  window.show_view(View::kAccuracy);
  compare("accuracy", window);

  QSignalSpy shown(&window, &MainWindow::settled);
  emit window.runs().run_chosen(1);
  ASSERT_TRUE(shown.wait(kPatience));
  window.show_view(View::kWhy);
  compare("why", window);
  window.show_view(View::kCluster);
  compare("cluster", window);
  window.show_view(View::kLive);
  compare("live", window);
  window.timeline().show_timeline(std::make_shared<const RunTimeline>(timeline(RunSource::kPredicted)), "Run 1, below it run 2",
                                  std::make_shared<const RunTimeline>(timeline(RunSource::kMeasured)));
  window.show_view(View::kTimeline);
  compare("timeline", window);
}

INSTANTIATE_TEST_SUITE_P(Themes, GoldenTest, ::testing::Values(ThemeChoice::kLight, ThemeChoice::kDark),
                         [](const auto& info) { return info.param == ThemeChoice::kDark ? "Dark" : "Light"; });

}  // namespace
}  // namespace lindos::gui
