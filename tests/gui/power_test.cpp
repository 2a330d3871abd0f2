// SPDX-License-Identifier: Apache-2.0
// Power against the cap: the bars are the scenario's nameplates and the record's power, and nothing
// is invented.
#include <QAbstractItemModelTester>
#include <QTemporaryDir>
#include <limits>

#include <gtest/gtest.h>

#include "data/catalogue.h"
#include "gui/charts/power_chart.h"
#include "gui/charts/power_time_chart.h"
#include "gui/models/power_view.h"
#include "gui/pages/power_page.h"
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

RunSamples two_windows() {
  return {{{"site", "power_mean_w", {}, {{5.0F, 2.0e6F}, {15.0F, 2.5e6F}}},
           {"site", "power_most_w", {}, {{5.0F, 2.2e6F}, {15.0F, 2.7e6F}}},
           {"site", "power_cap_w", {}, {{0.0F, 3.0e6F}, {20.0F, 3.0e6F}}},
           {"pool h100", "power_mean_w", {}, {{5.0F, 1.5e6F}, {15.0F, 1.9e6F}}},
           {"pool h100", "power_most_w", {}, {{5.0F, 1.6e6F}, {15.0F, 2.0e6F}}},
           {"pool h100", "device_limit_w", {}, {{0.0F, 412.0F}, {20.0F, 412.0F}}}},
          {}};
}

TEST(PowerOverTime, IsDrawnAsItIsAgainstTheCap) {
  RunRecord record;
  record.metrics["site_power_peak_w"] = {2.5e6, 2.7e6, 2.9e6, "W", "extrapolated"};
  const std::optional<PowerOverTime> power = power_over_time(two_windows(), record, colossus());
  ASSERT_TRUE(power.has_value());
  EXPECT_DOUBLE_EQ(power->cap, 3.0e6);
  EXPECT_EQ(power->headline, "Over time: the site draws at most 2.7 MW (P10–P90 2.5 MW – 2.9 MW, extrapolated) at the meter, "
                             "90.0 % of its cap. Held to 412 W per GPU of h100.");
  ASSERT_EQ(power->lines.size(), 2u);
  EXPECT_EQ(power->lines[1].name, "h100");
  EXPECT_EQ(power->lines[1].pool, 0);
  ASSERT_EQ(power->table.rows.size(), 2u);
  EXPECT_EQ(power->table.rows[1].cells[0].text, "15.0 s");
  EXPECT_EQ(power->table.rows[1].cells[2].text, "2.7 MW");
  EXPECT_EQ(power->table.rows[1].cells[3].text, "1.9 MW");
  PowerTimeChart chart;
  chart.resize(800, 300);
  chart.show_power(*power, "x");
  const std::vector<std::vector<double>> drawn = chart.drawn();
  ASSERT_EQ(drawn.size(), 2u);
  EXPECT_NEAR(drawn[0][1], 2.5e6, 1.0);
  EXPECT_NEAR(drawn[1][0], 1.5e6, 1.0);
  EXPECT_TRUE(chart.text_at(14.0).contains("around 15.0 s\nsite: 2.5 MW, at most 2.7 MW")) << chart.text_at(14.0).toStdString();
  const QTemporaryDir folder;
  EXPECT_EQ(chart.export_to(folder.filePath("p.svg")), "");
}

// What a measured run samples, and a series that lacks its other half.
TEST(PowerOverTime, IsAbsentWhereNothingIsSaidOfIt) {
  EXPECT_FALSE(power_over_time({}, {}, colossus()).has_value());
  EXPECT_FALSE(power_over_time({{{"gpu 0", "power_w", {}, {{0.0F, 300.0F}}}}, {}}, {}, colossus()).has_value());
  RunSamples broken = two_windows();
  broken.series[1].points.pop_back();
  EXPECT_FALSE(power_over_time(broken, {}, colossus()).has_value());
}

TEST(PowerPage, ShowsTimeWhereThereIsSome) {
  const PowerView view = power_view(colossus(), nullptr, nullptr);
  PowerPage page;
  page.show_power(view, std::nullopt, "x");
  EXPECT_FALSE(page.has_time());
  page.show_power(view, power_over_time(two_windows(), {}, colossus()), "x");
  EXPECT_TRUE(page.has_time());
  page.as_table().click();
  EXPECT_TRUE(page.time_table().isVisibleTo(&page));
  EXPECT_EQ(page.time_table().visible_rows(), 2);
}

TEST(PowerView, WithoutCapOrFiguresItSaysSo) {
  SitePower site = colossus();
  site.limits.site_cap = Watts{0};
  EXPECT_TRUE(power_view(site, nullptr, nullptr).headline.contains("no cap"));
  EXPECT_TRUE(power_view(SitePower{}, nullptr, nullptr).headline.contains("states no power"));
}

}  // namespace
}  // namespace lindos::gui
