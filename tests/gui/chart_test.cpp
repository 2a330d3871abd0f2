// SPDX-License-Identifier: Apache-2.0
// What is drawn equals the record; exports have the right kind and size.
#include "gui/charts/waterfall_chart.h"

#include <gtest/gtest.h>

#include <QFile>
#include <QImage>
#include <QSvgRenderer>
#include <QTemporaryDir>

#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

QByteArray read(const QString& path) {
  QFile file(path);
  return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
}

class ChartTest : public ::testing::Test {
 protected:
  void SetUp() override {
    chart_.resize(900, 420);
    chart_.show();
    chart_.set_waterfall(*waterfall_of(record_, &measured_), "run 1");
  }
  const RunRecord record_ = data::sample_run(RunSource::kPredicted);
  const RunRecord measured_ = data::sample_run(RunSource::kMeasured);
  WaterfallChart chart_;
  QTemporaryDir folder_;
};

TEST_F(ChartTest, BarsAreTheLedger) {
  const std::vector<WaterfallChart::Bar> bars = chart_.bars();
  ASSERT_EQ(bars.size(), record_.ledger.size() + 1);  // and the peak
  EXPECT_DOUBLE_EQ(bars.front().top, 100.0);
  for (std::size_t i = 1; i < bars.size() - 1; ++i) {
    EXPECT_NEAR(bars[i].top, i == 1 ? 100.0 : bars[i - 1].bottom, 1e-9);
  }
  EXPECT_NEAR(bars.back().top, 25.0, 1e-9);
  EXPECT_NEAR(bars[bars.size() - 2].bottom, 25.0, 1e-9);
}

TEST_F(ChartTest, ExportsPngSvgPdf) {
  const QString png = folder_.filePath("a.png"), svg = folder_.filePath("a.svg"), pdf = folder_.filePath("a.pdf");
  for (const QString& file : {png, svg, pdf}) EXPECT_EQ(chart_.export_to(file), "");
  EXPECT_EQ(QImage(png).size(), chart_.size() * 2);
  QSvgRenderer renderer(svg);
  ASSERT_TRUE(renderer.isValid());
  EXPECT_EQ(renderer.viewBox().size(), chart_.size());
  EXPECT_TRUE(read(pdf).startsWith("%PDF-"));
}

TEST_F(ChartTest, WrongEndingAndPlaceAreTold) {
  EXPECT_TRUE(chart_.export_to(folder_.filePath("a.gif")).contains(".png, .svg or .pdf"));
  EXPECT_FALSE(QFile::exists(folder_.filePath("a.gif")));
  EXPECT_TRUE(chart_.export_to("/nowhere/a.png").contains("cannot be written"));
}

}  // namespace
}  // namespace lindos::gui
