// SPDX-License-Identifier: Apache-2.0
// Power and temperature per GPU: coloured where a run has them, said with the reason where it has not.
#include "gui/models/missing_fields.h"

#include <QStandardItemModel>
#include <limits>

#include <gtest/gtest.h>

#include "gui/docks/inspector.h"
#include "gui/models/fleet_change.h"
#include "gui/pages/cluster_page.h"
#include "tests/data/sample_map.h"
#include "tests/data/sample_run.h"

namespace lindos::gui {
namespace {

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

// Two GPUs; the second one was not sampled.
std::shared_ptr<const Fleet> measured(float watts, float celsius) {
  DeviceMap map;
  map.pools = {{"h200", "h200-sxm", "H200", 2, 1, 0, 0, 0}};
  map.fields = {{"power_w", encode_field({watts, kNone})}, {"temperature_c", encode_field({celsius, kNone})}};
  return std::make_shared<const Fleet>(std::move(map));
}

TEST(MissingFields, AreSaidWithTheReason) {
  const RunRecord predicted = data::sample_run(RunSource::kPredicted), run = data::sample_run(RunSource::kMeasured);
  const Fleet training(data::sample_map());
  const auto of_training = missing_fields(training, &predicted, nullptr);
  ASSERT_EQ(of_training.size(), 2u);
  EXPECT_EQ(of_training[0].label, "Power drawn");
  EXPECT_EQ(of_training[0].state, "not predicted");
  EXPECT_TRUE(of_training[0].reason.contains("training"));
  EXPECT_EQ(of_training[1].label, "Temperature");
  EXPECT_EQ(of_training[1].state, "not predicted");
  EXPECT_EQ(missing_fields(training, nullptr, nullptr)[0].state, "not predicted yet");

  RunSamples samples;
  samples.series = {{"gpu", "power_w", "the run computes on the CPU", {}}};
  const auto of_cpu = missing_fields(training, &run, &samples);
  EXPECT_EQ(of_cpu[0].state, "not measured");
  EXPECT_TRUE(of_cpu[0].reason.contains("the run computes on the CPU"));
  EXPECT_TRUE(missing_fields(training, &run, nullptr)[0].reason.contains("imported"));
  EXPECT_TRUE(missing_fields(*measured(300, 60), &run, &samples).empty());
}

TEST(MissingFields, StandInTheListOfColoursAndInTheInspector) {
  ClusterPage page;
  page.resize(900, 600);
  const RunRecord predicted = data::sample_run(RunSource::kPredicted);
  const auto fleet = std::make_shared<const Fleet>(data::sample_map());
  const auto missing = missing_fields(*fleet, &predicted, nullptr);
  page.show_fleet(fleet, "run 1", missing);
  EXPECT_FALSE(page.colour_by("power_w"));
  EXPECT_FALSE(page.colour_by("temperature_c"));
  const int entry = page.colours().findText("Temperature  (not predicted)");
  ASSERT_GE(entry, 0);
  EXPECT_FALSE(qobject_cast<QStandardItemModel*>(page.colours().model())->item(entry)->isEnabled());
  EXPECT_TRUE(page.colours().itemData(entry, Qt::ToolTipRole).toString().contains("slowdown of the node"));
  Inspector inspector;
  inspector.set_fleet(fleet, missing);
  inspector.show_selection(fleet->device(0));
  EXPECT_TRUE(inspector.text().contains("Power drawn: not predicted")) << inspector.text().toStdString();
}

TEST(MeasuredFields, ColourTheMapAndAreCompared) {
  const auto a = measured(300.0F, 60.0F), b = measured(420.0F, 71.0F);
  ClusterPage page;
  page.resize(900, 600);
  page.show();
  page.show_fleet(a, "run 2", {});
  EXPECT_EQ(page.map().colour_by(), "power_w");  // what a run has comes before what is installed
  EXPECT_TRUE(page.colour_by("temperature_c"));
  EXPECT_EQ(page.map().scale().with_value, 1);
  EXPECT_EQ(page.map().scale().without, 1);
  EXPECT_DOUBLE_EQ(page.map().scale().high, 60.0);
  EXPECT_TRUE(page.map().text_of(0).contains("Temperature: 60")) << page.map().text_of(0).toStdString();
  EXPECT_TRUE(page.map().text_of(1).contains("not measured")) << page.map().text_of(1).toStdString();
  Inspector inspector;
  inspector.set_fleet(a, {});
  inspector.show_selection(a->device(0));
  EXPECT_TRUE(inspector.text().contains("Power drawn: 300")) << inspector.text().toStdString();
  page.show_comparison({a, b});
  EXPECT_TRUE(page.map().shows_change());
  EXPECT_FLOAT_EQ(page.map().shown_values()[0], 11.0F);
  page.toggle_table();
  EXPECT_TRUE(page.table().shown_tsv(false).contains("+11")) << page.table().shown_tsv(false).toStdString();
}

}  // namespace
}  // namespace lindos::gui
