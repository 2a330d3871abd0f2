// SPDX-License-Identifier: Apache-2.0
// Power against the cap: the bars are the scenario's nameplates and the record's power, and nothing
// is invented.
#include <QAbstractItemModelTester>
#include <QTemporaryDir>
#include <limits>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "gui/charts/power_chart.h"
#include "gui/models/power_view.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

SitePower colossus() {
  return site_power(load_scenario(LINDOS_SOURCE_DIR "/scenarios/colossus1-training.toml",
                                  load_catalogue(default_catalogue_dir())));
}

TEST(PowerView, NameplatesStandAgainstTheCap) {
  const PowerView view = power_view(colossus(), nullptr, nullptr);
  ASSERT_EQ(view.bars.size(), 2u);  // nothing is predicted: nothing is shown of it
  EXPECT_NEAR(view.bars[0].watts(), 317.1685e6, 1.0);
  EXPECT_NEAR(view.bars[0].segments.back().watts, 28.8335e6, 1.0);  // cooling: 10 % of 288.335 MW
  EXPECT_TRUE(view.over);
  EXPECT_TRUE(view.headline.contains("317.2 MW")) << view.headline.toStdString();
  EXPECT_TRUE(view.headline.contains("17.2 MW too much")) << view.headline.toStdString();
  ASSERT_EQ(view.table.rows.size(), 3u);
  EXPECT_EQ(view.table.rows[0].cells[3].text, "210.4 MW");
  EXPECT_EQ(view.table.rows[0].cells[6].text, "–");
  TableModel model;
  QAbstractItemModelTester tester(&model, QAbstractItemModelTester::FailureReportingMode::Fatal);
  model.set_table(view.table);
}

TEST(PowerView, APredictionAddsWhatItKnows) {
  RunRecord record = data::sample_run(RunSource::kPredicted);
  record.metrics["power_w"] = {5.0e6, 6.0e6, 6.5e6, "W", "modelled"};
  DeviceMap map;
  map.pools = {{"h100", "h100-sxm", "H100", 4, 2, 0, 0, 0}};
  map.fields = {{"power_limit_w", {{6, 650.0F}, {2, std::numeric_limits<float>::quiet_NaN()}}}};
  const Fleet fleet(std::move(map));
  SitePower site = colossus();
  site.pools.resize(1);
  const PowerView view = power_view(site, &record, &fleet);
  ASSERT_EQ(view.bars.size(), 4u);
  EXPECT_DOUBLE_EQ(view.bars[2].watts(), 6 * 650.0);  // two of eight are not in the job
  EXPECT_DOUBLE_EQ(view.bars[3].watts(), 6.0e6);
  EXPECT_DOUBLE_EQ(view.bars[3].p90.value(), 6.5e6);
  EXPECT_EQ(view.table.rows[0].cells[6].text, "650 W");
  EXPECT_FALSE(view.over);

  PowerChart chart;
  chart.resize(800, 400);
  chart.show_power(view, "x");
  const std::vector<double> drawn = chart.drawn();
  ASSERT_EQ(drawn.size(), 4u);
  for (std::size_t i = 0; i < drawn.size(); ++i)
    EXPECT_NEAR(drawn[i], view.bars[i].watts(), 1e-6 * view.bars[i].watts());
  const QTemporaryDir folder;
  EXPECT_EQ(chart.export_to(folder.filePath("p.svg")), "");
}

TEST(PowerView, WithoutCapOrFiguresItSaysSo) {
  SitePower site = colossus();
  site.limits.site_cap = Watts{0};
  EXPECT_TRUE(power_view(site, nullptr, nullptr).headline.contains("no cap"));
  EXPECT_TRUE(power_view(SitePower{}, nullptr, nullptr).headline.contains("states no power"));
}

}  // namespace
}  // namespace lindos::gui
