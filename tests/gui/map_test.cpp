// SPDX-License-Identifier: Apache-2.0
// The map, numbers first: every GPU has one cell, what is drawn is what the run says, and one slow GPU among 220,000
// is seen.
#include "gui/map/map_widget.h"

#include <gtest/gtest.h>

#include <QSignalSpy>
#include <QTest>
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "gui/app/theme.h"
#include "tests/data/sample_map.h"

namespace lindos::gui {
namespace {

// Colossus 1's pools: none of them tiles its racks, arrays or halls.
std::vector<PoolShape> colossus() {
  return {{"h100", "h100-sxm", "NVIDIA H100", 8, 18750, 8, 8, 390},
          {"h200", "h200-sxm", "NVIDIA H200", 8, 6250, 8, 8, 390},
          {"gb200", "gb200-nvl72", "NVIDIA GB200", 4, 5000, 18, 8, 278}};
}

TEST(FleetLayout, EveryDeviceHasOneCellAndIsFoundThere) {
  for (const std::vector<PoolShape>& pools : {colossus(), data::sample_map().pools}) {
    const FleetLayout layout(pools);
    std::set<std::pair<double, double>> taken;
    for (std::int64_t d = 0; d < layout.devices(); d += layout.devices() > 1000 ? 7 : 1) {
      const Box cell = layout.cell(d);
      EXPECT_TRUE(taken.emplace(cell.x, cell.y).second) << d;
      EXPECT_GE(cell.x, 0.0);
      EXPECT_LE(cell.x + 1.0, layout.width());
      EXPECT_LE(cell.y + 1.0, layout.height());
      ASSERT_EQ(layout.device_at(cell.x + 0.5, cell.y + 0.5), d);
    }
  }
}

TEST(FleetLayout, UnitsAreThoseOfTheScenario) {
  const FleetLayout layout(colossus());
  // 2,344 racks of h100 fill six halls of 390 and four racks of a seventh; h200: 782 racks, h100 alike; gb200: 278.
  EXPECT_EQ(layout.halls().size(), 7u + 3u + 1u);
  EXPECT_EQ(layout.racks().size(), 2344u + 782u + 278u);
  EXPECT_EQ(layout.racks()[2343].devices, 6 * 8);  // 18,750 = 2,343 × 8 + 6 nodes
  std::int64_t sum = 0;
  for (const HallBox& hall : layout.halls()) sum += hall.devices;
  EXPECT_EQ(sum, 220000);
  const DevicePlace place = layout.place(8011 * 8 + 5);
  EXPECT_EQ(place.node, 8011);
  EXPECT_EQ(place.device, 5);
  EXPECT_EQ(place.rack, 1001);
  EXPECT_EQ(place.array, 125);
  EXPECT_EQ(place.hall, 2);
}

TEST(FleetLayout, HallsDoNotOverlap) {
  const FleetLayout layout(colossus());
  for (const HallBox& a : layout.halls()) {
    for (const HallBox& b : layout.halls()) {
      if (&a == &b) continue;
      EXPECT_TRUE(a.box.x + a.box.w <= b.box.x || b.box.x + b.box.w <= a.box.x || a.box.y + a.box.h <= b.box.y ||
                  b.box.y + b.box.h <= a.box.y);
    }
  }
}

std::vector<float> slowdowns(std::size_t devices) { return std::vector<float>(devices, 1.0F); }

QImage painted(const FleetLayout& layout, std::vector<float> values, double scale, const ValueScale& range) {
  std::vector<Level> levels;
  levels_of(values, range, levels);
  QImage image(static_cast<int>(layout.width() * scale) + 2, static_cast<int>(layout.height() * scale) + 2,
               QImage::Format_RGB32);
  std::vector<Level> scratch;
  paint_cells(image, layout, levels, value_colours(ColourMap::kPurple, range, Qt::white, Qt::gray, false, false),
              qRgb(255, 255, 255), {scale, 0.0, 0.0}, scratch);
  return image;
}

int different_pixels(const QImage& a, const QImage& b) {
  int n = 0;
  for (int y = 0; y < a.height(); ++y) {
    for (int x = 0; x < a.width(); ++x) n += a.pixel(x, y) != b.pixel(x, y);
  }
  return n;
}

// Worst wins: at a third of a pixel per cell, and at any place, one slow GPU changes exactly one pixel; at two, its
// four.
TEST(MapRaster, ALoneStragglerIsSeenAtEveryZoom) {
  const FleetLayout layout(colossus());
  ValueScale range;
  range.low = 1.0;
  range.high = 1.5;
  const auto devices = static_cast<std::size_t>(layout.devices());
  for (const double scale : {0.33, 0.8, 1.0, 2.0}) {
    const QImage before = painted(layout, slowdowns(devices), scale, range);
    for (const std::size_t straggler : {std::size_t{0}, std::size_t{64093}, std::size_t{150000}, devices - 1}) {
      std::vector<float> values = slowdowns(devices);
      values[straggler] = 1.5F;
      EXPECT_EQ(different_pixels(before, painted(layout, values, scale, range)), scale >= 2.0 ? 4 : 1)
          << scale << " " << straggler;
    }
  }
}

// A picture that two threads paint is the one that a single thread paints: of a strip of it, with fewer pixels.
TEST(MapRaster, TwoThreadsPaintWhatOnePaints) {
  const FleetLayout layout(colossus());
  ValueScale range;
  range.low = 1.0;
  range.high = 1.5;
  std::vector<float> values(static_cast<std::size_t>(layout.devices()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 1.0F + 0.5F * static_cast<float>(i * 7919 % 101) / 100.0F;
  std::vector<Level> levels, scratch;
  levels_of(values, range, levels);
  const auto colours = value_colours(ColourMap::kPurple, range, Qt::white, Qt::gray, false, false);
  for (const MapView& view : {MapView{0.7, 3.3, -20.0}, MapView{2.37, 11.1, 7.7}, MapView{9.0, 100.0, 50.5}}) {
    QImage whole(2600, 1700, QImage::Format_RGB32), strip(2000, 1700, QImage::Format_RGB32);
    whole.fill(Qt::red);  // nothing of it may stay
    paint_cells(whole, layout, levels, colours, qRgb(1, 2, 3), view, scratch);
    paint_cells(strip, layout, levels, colours, qRgb(1, 2, 3), view, scratch);
    EXPECT_EQ(different_pixels(whole.copy(strip.rect()), strip), 0) << view.scale;
    int left = 0;
    for (int y = 0; y < whole.height(); ++y) {
      for (int x = 0; x < whole.width(); ++x) left += whole.pixel(x, y) == qRgb(255, 0, 0) ? 1 : 0;
    }
    EXPECT_EQ(left, 0) << view.scale;
  }
}

TEST(MapRaster, TheLowestWinsWhereLowIsWorst) {
  const FleetLayout layout(colossus());
  const auto devices = static_cast<std::size_t>(layout.devices());
  std::vector<float> values(devices, 0.5F);
  values[77] = 0.1F;
  const ValueScale range = scale_of(values, Worst::kMin);
  std::vector<Level> levels;
  levels_of(values, range, levels);
  EXPECT_EQ(levels[77], kWorst);
  EXPECT_EQ(levels[78], kBest);
  EXPECT_DOUBLE_EQ(position_of(levels[77], range), 0.0);
  EXPECT_DOUBLE_EQ(position_of(levels[78], range), 1.0);
}

TEST(MapColours, ScaleCountsAndBins) {
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  const ValueScale scale = scale_of({1.0F, 2.0F, kNone, 1.0F}, Worst::kMax);
  EXPECT_EQ(scale.with_value, 3);
  EXPECT_EQ(scale.without, 1);
  EXPECT_DOUBLE_EQ(scale.low, 1.0);
  EXPECT_DOUBLE_EQ(scale.high, 2.0);
  EXPECT_EQ(scale.histogram.front(), 2);
  EXPECT_EQ(scale.histogram.back(), 1);
  std::vector<Level> levels;
  levels_of({1.0F, kNone}, scale_of({1.0F, kNone}, Worst::kMax), levels);
  EXPECT_EQ(levels[1], kWithoutValue);
  EXPECT_EQ(levels[0], (kBest + kWorst) / 2);  // all alike: neither good nor bad
}

TEST(MapColours, WorseIsDarkerOnLightAndLighterOnDark) {
  for (const ColourMap map : {ColourMap::kPurple, ColourMap::kAmber, ColourMap::kBlue}) {
    for (const bool dark : {false, true}) {
      double last = dark ? -1.0 : 256.0;
      for (int i = 0; i <= 8; ++i) {
        const double grey = qGray(colour_at(map, i / 8.0, dark).rgb());
        EXPECT_TRUE(dark ? grey > last : grey < last);
        last = grey;
      }
    }
  }
}

using Linear = std::array<double, 3>;

Linear linear(const QColor& colour) {
  const auto one = [](double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); };
  return {one(colour.redF()), one(colour.greenF()), one(colour.blueF())};
}

// CIE L*a*b* under D65.
Linear lab(const Linear& c) {
  const auto f = [](double t) { return t > 216.0 / 24389.0 ? std::cbrt(t) : (24389.0 / 27.0 * t + 16.0) / 116.0; };
  const double x = f((0.4124 * c[0] + 0.3576 * c[1] + 0.1805 * c[2]) / 0.9505);
  const double y = f(0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]);
  const double z = f((0.0193 * c[0] + 0.1192 * c[1] + 0.9505 * c[2]) / 1.0888);
  return {116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)};
}

// The least distance in CIE L*a*b* (1976) over full sight and the three kinds of colour blindness (Machado, Oliveira and
// Fernandes 2009, table 1, severity 1).
double least_distance(const QColor& a, const QColor& b) {
  constexpr std::array<std::array<double, 9>, 4> kSight = {{
      {1, 0, 0, 0, 1, 0, 0, 0, 1},
      {0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998},
      {0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.011820, 0.042940, 0.968881},
      {1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.303900},
  }};
  double least = HUGE_VAL;
  for (const auto& m : kSight) {
    const auto seen = [&](const QColor& colour) {
      const Linear c = linear(colour);
      Linear out{};
      for (std::size_t i = 0; i < 3; ++i)
        out[i] = std::clamp(m[3 * i] * c[0] + m[3 * i + 1] * c[1] + m[3 * i + 2] * c[2], 0.0, 1.0);
      return lab(out);
    };
    const Linear first = seen(a), second = seen(b);
    least = std::min(least, std::hypot(first[0] - second[0], first[1] - second[1], first[2] - second[2]));
  }
  return least;
}

// A cell with a value is seen on the ground and is no cell without one, whoever looks. Beside each other 2 can be told
// apart; across a gap and in a legend it takes several times that.
TEST(MapColours, NoValueLooksLikeTheGroundOrLikeNone) {
  // White and black: 100 apart for everybody.
  EXPECT_NEAR(least_distance(Qt::white, Qt::black), 100.0, 0.1);
  for (const ColourMap map : {ColourMap::kViridis, ColourMap::kPurple, ColourMap::kAmber, ColourMap::kBlue, ColourMap::kBrownTeal}) {
    for (const bool dark : {false, true}) {
      const Theme& theme = dark ? dark_theme() : light_theme();
      for (int i = 0; i <= 16; ++i) {
        const QColor colour = colour_at(map, i / 16.0, dark);
        const std::string which = colour.name().toStdString() + (dark ? " on dark" : " on light");
        EXPECT_GE(least_distance(colour, theme.base), 18.0) << which;
        EXPECT_GE(least_distance(colour, without_colour(dark)), 10.0) << which;
      }
    }
  }
}

std::shared_ptr<const Fleet> sample_fleet() { return std::make_shared<const Fleet>(data::sample_map()); }

class MapWidgetTest : public ::testing::Test {
 protected:
  void SetUp() override {
    map_.resize(900, 600);
    map_.set_fleet(fleet_);
    map_.set_colour_by("slowdown");
    map_.show();
    QObject::connect(&map_, &MapWidget::selected, &map_, [this](const Selection& s) {
      selected_ = s;
      map_.show_selection(s);
    });
  }
  std::shared_ptr<const Fleet> fleet_ = sample_fleet();
  MapWidget map_;
  Selection selected_;
};

TEST_F(MapWidgetTest, AClickSelectsTheGpuUnderIt) {
  for (const std::int64_t device : {0, 13, 45}) {
    QTest::mouseClick(&map_, Qt::LeftButton, {}, map_.centre_of(device).toPoint());
    EXPECT_EQ(selected_.devices, (std::vector<DeviceRange>{{device, device + 1}}));
  }
  QTest::mouseClick(&map_, Qt::LeftButton, Qt::ShiftModifier, map_.centre_of(13).toPoint());
  EXPECT_EQ(selected_.devices, (std::vector<DeviceRange>{{12, 16}}));  // its node of four
  QTest::mouseClick(&map_, Qt::LeftButton, {}, QPoint(2, 2));
  EXPECT_TRUE(selected_.empty());
}

TEST_F(MapWidgetTest, ZoomKeepsWhatIsUnderTheCursor) {
  const QPointF at = map_.centre_of(9);
  map_.zoom(1.7, at);
  EXPECT_EQ(map_.device_at(at), 9);
  EXPECT_NEAR(map_.centre_of(9).x(), at.x(), 1.0);
  for (int i = 0; i < 20; ++i) map_.zoom(0.5, at);
  const MapView view = map_.view();
  map_.fit();
  EXPECT_EQ(map_.view(), view);  // out is no further than the whole site
}

TEST_F(MapWidgetTest, ZoomBringsAllThatIsSelectedIntoView) {
  for (const std::vector<DeviceRange>& wanted : {std::vector<DeviceRange>{{0, 1}, {40, 46}}, {{4, 8}, {12, 16}}}) {
    map_.zoom(8.0, map_.centre_of(13));
    map_.zoom_to(wanted);
    for (const DeviceRange& range : wanted) {
      EXPECT_EQ(map_.device_at(map_.centre_of(range.begin)), range.begin);
      EXPECT_EQ(map_.device_at(map_.centre_of(range.end - 1)), range.end - 1);
    }
  }
}

TEST_F(MapWidgetTest, KeysMoveAndFindTheWorst) {
  map_.setFocus();
  QTest::keyClick(&map_, Qt::Key_N);
  EXPECT_EQ(selected_.title, "a/3/0");  // slowdown 1.03, the first of four
  QTest::keyClick(&map_, Qt::Key_N);
  EXPECT_EQ(selected_.title, "a/3/1");
  QTest::keyClick(&map_, Qt::Key_P);
  EXPECT_EQ(selected_.title, "a/3/0");
  QTest::keyClick(&map_, Qt::Key_Right);
  EXPECT_EQ(selected_.title, "a/3/1");
  QTest::keyClick(&map_, Qt::Key_Down);
  EXPECT_NE(selected_.title, "a/3/1");
}

TEST_F(MapWidgetTest, EachCellHasTheColourOfItsValue) {
  const QImage image = map_.grab().toImage();
  const std::vector<float>& values = *fleet_->values("slowdown");
  for (const std::int64_t device : {0, 5, 10, 15}) {
    const double t = (static_cast<double>(values[static_cast<std::size_t>(device)]) - map_.scale().low) /
                     (map_.scale().high - map_.scale().low);
    const QColor expected = colour_at(ColourMap::kPurple, t, false);
    const QColor seen = image.pixelColor((map_.centre_of(device) - QPointF(0, 8)).toPoint());
    EXPECT_NEAR(seen.red(), expected.red(), 3) << device;
    EXPECT_NEAR(seen.green(), expected.green(), 3) << device;
    EXPECT_NEAR(seen.blue(), expected.blue(), 3) << device;
  }
}

// Run B: as the sample, but the device 5 is slower by 0.5, and the last two of the job have no value.
std::shared_ptr<const Fleet> changed_fleet() {
  DeviceMap map = data::sample_map();
  std::vector<float> slowdown = decode_field(map.fields[0], map.devices());
  slowdown[5] += 0.5F;
  slowdown[14] = slowdown[15] = std::nanf("");
  map.fields[0].spans = encode_field(slowdown);
  map.fields.resize(1);  // no utilisation
  return std::make_shared<const Fleet>(std::move(map));
}

TEST_F(MapWidgetTest, AComparisonShowsTheChange) {
  map_.set_comparison({fleet_, changed_fleet()}, ChangeMode::kDifference);
  ASSERT_TRUE(map_.shows_change());
  EXPECT_FLOAT_EQ(map_.shown_values()[5], 0.5F);
  EXPECT_FLOAT_EQ(map_.shown_values()[4], 0.0F);
  EXPECT_TRUE(std::isnan(map_.shown_values()[14]));
  EXPECT_EQ(map_.scale().with_value, 14);
  EXPECT_DOUBLE_EQ(map_.scale().low, -0.5);  // no change stands in the middle
  EXPECT_DOUBLE_EQ(map_.scale().high, 0.5);
  EXPECT_EQ(map_.worst().front(), 5);
  EXPECT_TRUE(map_.text_of(5).contains("A ×1.010, B ×1.510 (+0.500)")) << map_.text_of(5).toStdString();
  EXPECT_TRUE(map_.text_of(14).contains("B none"));
  // Nothing changes for most: what stands out by a twentieth of the colours is a dot.
  EXPECT_TRUE(map_.rule_text().endsWith("more than 0.047 from it")) << map_.rule_text().toStdString();
  const QImage image = map_.grab().toImage();
  const auto seen = [&](std::int64_t device) { return image.pixelColor((map_.centre_of(device) - QPointF(0, 8)).toPoint()); };
  EXPECT_EQ(seen(5).name(), colour_at(ColourMap::kBrownTeal, 0.0, false).name());  // slower: brown
  EXPECT_NEAR(seen(4).red(), colour_at(ColourMap::kBrownTeal, 0.5, false).red(), 3);

  map_.set_comparison({fleet_, changed_fleet()}, ChangeMode::kRatio);
  EXPECT_NEAR(static_cast<double>(map_.shown_values()[5]), 1.51 / 1.01, 1e-6);
  EXPECT_EQ(map_.shown_text(1.25), "×1.250");
  map_.set_colour_by("utilisation");  // only A has it
  EXPECT_FALSE(map_.shows_change());
  map_.set_comparison({}, ChangeMode::kDifference);
  map_.set_colour_by("slowdown");
  EXPECT_FALSE(map_.shows_change());
}

TEST(FleetChange, TextsAndWhatCannotBeCompared) {
  const Metric& utilisation = *find_device_quantity("utilisation");
  EXPECT_EQ(change_text(utilisation, 0.023, ChangeMode::kDifference), "+2.3 points");
  EXPECT_EQ(change_text(*find_device_quantity("slowdown"), -0.012, ChangeMode::kDifference), "−0.012");
  EXPECT_EQ(change_text(*find_device_quantity("power_limit_w"), 12.0, ChangeMode::kDifference), "+12.00 W");
  const auto sample = sample_fleet();
  EXPECT_EQ(why_not_comparable({sample, changed_fleet()}, "Run 1", "Run 2"), "");
  EXPECT_TRUE(why_not_comparable({sample, nullptr}, "Run 1", "Run 2").startsWith("Run 2 says nothing"));
  DeviceMap other = data::sample_map();
  other.pools[1].nodes = 4;
  for (DeviceField& field : other.fields) field.spans.push_back({2, 1.0F});
  EXPECT_TRUE(why_not_comparable({sample, std::make_shared<const Fleet>(other)}, "Run 1", "Run 2").contains("different fleets"));
}

// Below two pixels per cell a signed field is its racks' medians; a lone change stands out as a dot of its own colour.
TEST(MapRaster, SignedFieldsShowMediansAndDots) {
  const FleetLayout layout(colossus());
  const auto devices = static_cast<std::size_t>(layout.devices());
  std::vector<float> changes(devices);
  for (std::size_t i = 0; i < devices; ++i) changes[i] = i % 2 == 0 ? -0.01F : 0.01F;  // noise around nothing
  const auto painted_changes = [&](double scale) {
    std::vector<Level> levels, scratch;
    ValueScale range = signed_scale_of(changes, 0.0, Worst::kMax);
    range.low = -1.0;
    range.high = 1.0;
    levels_of(changes, range, levels);
    QImage image(static_cast<int>(layout.width() * scale) + 2, static_cast<int>(layout.height() * scale) + 2, QImage::Format_RGB32);
    paint_changes(image, layout, levels, signed_rule_of(layout, levels),
                  value_colours(ColourMap::kBrownTeal, range, Qt::white, Qt::gray, false, false), qRgb(255, 255, 255),
                  {scale, 0.0, 0.0}, scratch);
    return image;
  };
  for (const double scale : {0.4, 0.8, 1.5}) {
    changes[64093] = 0.01F;
    const QImage before = painted_changes(scale);
    std::set<QRgb> colours;
    for (int y = 0; y < before.height(); ++y) {
      for (int x = 0; x < before.width(); ++x) colours.insert(before.pixel(x, y));
    }
    EXPECT_EQ(colours.size(), 2u) << scale;  // the ground, and one median: no confetti
    changes[64093] = 1.0F;
    const QImage after = painted_changes(scale);
    const Box cell = layout.cell(64093);
    EXPECT_EQ(different_pixels(before, after), 4) << scale;
    EXPECT_EQ(after.pixel(static_cast<int>(cell.x * scale), static_cast<int>(cell.y * scale)),
              colour_at(ColourMap::kBrownTeal, 0.0, false).rgb());
  }
}

TEST(FleetModel, NamesPlacesAndRanks) {
  const Fleet fleet(data::sample_map());
  EXPECT_EQ(fleet.name_of(13), "a/3/1");
  EXPECT_EQ(fleet.path_of(13), "a › hall 0 › array 0 › rack 1 › node 3 › GPU 1");
  EXPECT_EQ(fleet.path_of(41), "b › node 0 › GPU 1");  // names no racks, arrays or halls
  const auto job = fleet.job_place(13);
  ASSERT_TRUE(job);
  EXPECT_EQ(fleet.stage_name(job->stage, job->replica), "group train, replica 1, stage 1");
  EXPECT_EQ(job->rank, 1);
  EXPECT_FALSE(fleet.job_place(16));
  EXPECT_EQ(fleet.gate().devices, (std::vector<DeviceRange>{{12, 16}}));
  EXPECT_EQ(fleet.group(0).devices, (std::vector<DeviceRange>{{0, 16}}));
}

TEST(FleetModel, FindsByName) {
  const Fleet fleet(data::sample_map());
  QString error;
  const auto found = [&](const QString& text) { return fleet.find(text, error).devices; };
  EXPECT_EQ(found("a/3/1"), (std::vector<DeviceRange>{{13, 14}}));
  EXPECT_EQ(found(" a/3 "), (std::vector<DeviceRange>{{12, 16}}));
  EXPECT_EQ(found("a rack 4"), (std::vector<DeviceRange>{{32, 40}}));
  EXPECT_EQ(found("a hall 1"), (std::vector<DeviceRange>{{32, 40}}));  // the fifth rack
  EXPECT_EQ(found("train replica 1 stage 0"), (std::vector<DeviceRange>{{8, 12}}));
  EXPECT_EQ(found("train replica 1").size(), 2u);
  EXPECT_EQ(found("b"), (std::vector<DeviceRange>{{40, 46}}));
  EXPECT_EQ(error, "");
  for (const char* wrong : {"c/1", "a/10", "a/1/4", "a rack 99", "train replica 2", "train replica 0 stage 7",
                            "x replica 0", "nonsense", "b rack 0"}) {
    EXPECT_TRUE(fleet.find(wrong, error).empty()) << wrong;
    EXPECT_NE(error, "") << wrong;
  }
}

TEST(FleetModel, ACauseLeadsToTheDevicesThatMakeIt) {
  const Fleet fleet(data::sample_map());
  EXPECT_EQ(fleet.of_causes({Cause::kStragglerJitter}, "x").devices, fleet.gate().devices);
  EXPECT_EQ(fleet.of_causes({Cause::kStragglerMix}, "x").devices, fleet.group(0).devices);
  EXPECT_EQ(fleet.of_causes({Cause::kNotAllocated}, "x").devices, (std::vector<DeviceRange>{{16, 46}}));
  EXPECT_EQ(fleet.of_causes({Cause::kRestart}, "x").devices, (std::vector<DeviceRange>{{0, 16}}));
  EXPECT_TRUE(fleet.of_causes({Cause::kRestart}, "x").reason.contains("not which ones"));
}

TEST(FleetModel, TheChainEndsAtAName) {
  const Fleet fleet(data::sample_map());
  const Inspection other = inspect(fleet, fleet.device(0));
  const QString why = other.why.join(" ");
  EXPECT_TRUE(why.contains("It waits for group train, replica 1, stage 1: a/3.")) << why.toStdString();
  EXPECT_TRUE(why.contains("×1.030")) << why.toStdString();
  EXPECT_TRUE(why.contains("ends the step in 3 of 3 draws")) << why.toStdString();
  const Inspection gate = inspect(fleet, fleet.gate());
  EXPECT_TRUE(gate.why.join(" ").contains("ends with this stage"));
  const Inspection idle = inspect(fleet, fleet.device(45));
  bool said = false;
  for (const Fact& fact : idle.facts) said = said || fact.value.contains("not in the job");
  EXPECT_TRUE(said);
}

}  // namespace
}  // namespace lindos::gui
