// SPDX-License-Identifier: Apache-2.0
// Screens with more pixels than units: nothing is drawn small and enlarged. ctest runs these with QT_SCALE_FACTOR=2 as well.
#include <qcustomplot.h>

#include <gtest/gtest.h>

#include <QSet>
#include <QTest>

#include "gui/charts/waterfall_chart.h"
#include "gui/map/map_widget.h"
#include "tests/data/sample_map.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

TEST(PixelRatio, IsAsAsked) {
  const double asked = qEnvironmentVariableIsSet("QT_SCALE_FACTOR") ? qEnvironmentVariable("QT_SCALE_FACTOR").toDouble() : 1.0;
  EXPECT_EQ(qApp->devicePixelRatio(), asked);
}

// Cells end at device pixels: across a row of them there is no colour but theirs and the ground's, and each is as wide as the
// view says.
TEST(PixelRatio, CellsAreDrawnInDevicePixels) {
  MapWidget map;
  map.resize(901, 601);
  map.set_fleet(std::make_shared<const Fleet>(data::sample_map()));
  map.set_colour_by("slowdown");
  map.show();
  const double ratio = map.devicePixelRatioF();
  const QImage image = map.grab().toImage();
  EXPECT_EQ(image.size(), (QSizeF(map.size()) * ratio).toSize());
  for (const double zoom : {1.0, 0.31}) {
    map.zoom(zoom, map.centre_of(9));
    const QImage seen = map.grab().toImage();
    const Box cell = map.fleet()->layout().cell(0);
    const int y = static_cast<int>((cell.y + 0.12 - map.view().y) * map.view().scale);  // above the text of the cells
    const int left = static_cast<int>((cell.x - map.view().x) * map.view().scale);
    const int right = static_cast<int>((cell.x + 4.0 - map.view().x) * map.view().scale);
    QSet<QRgb> colours;
    int wide = 0;
    for (int x = left; x < right; ++x) {
      colours << seen.pixel(x, y);
      wide += seen.pixel(x, y) != light_theme().base.rgb();
    }
    EXPECT_EQ(colours.size(), 2) << zoom;  // a node of four alike, and the lines between them
    EXPECT_NEAR(wide, 4.0 * map.view().scale, 5.0) << zoom;
  }
}

TEST(PixelRatio, ChartsFollowTheScreen) {
  WaterfallChart chart;
  chart.set_waterfall(*waterfall_of(data::sample_run(RunSource::kPredicted), nullptr), "a run");
  auto* plot = chart.findChild<QCustomPlot*>();
  ASSERT_NE(plot, nullptr);
  chart.resize(700, 400);
  chart.show();
  ASSERT_TRUE(QTest::qWaitForWindowExposed(&chart));
  EXPECT_EQ(plot->bufferDevicePixelRatio(), chart.devicePixelRatioF());
  // As if it had been made on another screen.
  plot->setBufferDevicePixelRatio(chart.devicePixelRatioF() * 2.0);
  plot->repaint();
  EXPECT_EQ(plot->bufferDevicePixelRatio(), chart.devicePixelRatioF());
  EXPECT_EQ(chart.grab().toImage().size(), (QSizeF(chart.size()) * chart.devicePixelRatioF()).toSize());
}

}  // namespace
}  // namespace lindos::gui
