// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/map/map_colours.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace lindos::gui {

namespace {

constexpr double kSteps = kWorst - kBest;
constexpr double kFade = 0.82;  // of what is not selected, towards the ground

// Viridis (van der Walt and Smith, CC0), nine of its 256 colours.
constexpr std::array<QRgb, 9> kViridisStops = {0xff440154, 0xff472d7b, 0xff3b528b, 0xff2c728e, 0xff21918c,
                                               0xff28ae80, 0xff5ec962, 0xffaddc30, 0xfffde725};
// No end and no middle comes near the ground or the colour of cells without a value: on light themes none is whitish.
constexpr std::array<QRgb, 4> kPurpleLight = {0xffbba6e8, 0xff9674d2, 0xff6537ad, 0xff2e0a66};
constexpr std::array<QRgb, 4> kPurpleDark = {0xff524397, 0xff7a64c6, 0xffad95ef, 0xfff1e8ff};
constexpr std::array<QRgb, 4> kAmberLight = {0xffeabf78, 0xffd6942f, 0xffa8590a, 0xff5a2705};
constexpr std::array<QRgb, 4> kAmberDark = {0xff63471a, 0xff9a6a22, 0xffdd9c3c, 0xffffe9c2};
constexpr std::array<QRgb, 4> kBlueLight = {0xff9cc0ec, 0xff5b91d0, 0xff2a62a8, 0xff0a2753};
constexpr std::array<QRgb, 4> kBlueDark = {0xff2b5486, 0xff3f7dbd, 0xff76b0ea, 0xffe0efff};
constexpr std::array<QRgb, 7> kBrownTealLight = {0xff5a2f06, 0xff945414, 0xffc2934c, 0xffc6c4bf,
                                                 0xff4ea096, 0xff1a7a70, 0xff03463f};
constexpr std::array<QRgb, 7> kBrownTealDark = {0xffffd08a, 0xffd08a35, 0xff8a5f2a, 0xff4a4e57,
                                                0xff1d8479, 0xff30b5a7, 0xff9df5e6};

std::span<const QRgb> stops_of(ColourMap map, bool dark) {
  switch (map) {
    case ColourMap::kViridis:
      return kViridisStops;
    case ColourMap::kPurple:
      return dark ? kPurpleDark : kPurpleLight;
    case ColourMap::kAmber:
      return dark ? kAmberDark : kAmberLight;
    case ColourMap::kBlue:
      return dark ? kBlueDark : kBlueLight;
    case ColourMap::kBrownTeal:
      return dark ? kBrownTealDark : kBrownTealLight;
  }
  return kViridisStops;
}

QColor mixed(const QColor& a, const QColor& b, double t) {
  const auto part = [t](double from, double to) { return from + (to - from) * t; };
  return QColor::fromRgbF(static_cast<float>(part(a.redF(), b.redF())),
                          static_cast<float>(part(a.greenF(), b.greenF())),
                          static_cast<float>(part(a.blueF(), b.blueF())));
}

void count_bins(const std::vector<float>& values, ValueScale& scale) {
  scale.histogram.fill(0);
  const auto low = static_cast<float>(scale.low), high = static_cast<float>(scale.high);
  const auto bins = static_cast<float>(scale.histogram.size());
  const float per_bin = high > low ? bins / (high - low) : 0.0F;
  for (const float v : values) {
    if (std::isnan(v)) continue;
    ++scale.histogram[static_cast<std::size_t>(std::clamp((v - low) * per_bin, 0.0F, bins - 1.0F))];
  }
}

// Both halves from the colours of levels 0 … 255.
LevelColours with_selection(const std::array<QColor, 256>& colours, const QColor& ground, bool some_selected) {
  LevelColours out{};
  for (std::size_t i = 0; i < colours.size(); ++i) {
    out[i + kSelected] = colours[i].rgb();
    out[i] = some_selected ? mixed(colours[i], ground, kFade).rgb() : colours[i].rgb();
  }
  return out;
}

}  // namespace

ValueScale scale_of(const std::vector<float>& values, Worst worst) {
  ValueScale scale;
  scale.high_is_worst = worst != Worst::kMin;
  float low = HUGE_VALF;
  float high = -HUGE_VALF;
  for (const float v : values) {
    if (std::isnan(v)) continue;
    ++scale.with_value;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  scale.without = static_cast<std::int64_t>(values.size()) - scale.with_value;
  if (scale.with_value == 0) return scale;
  scale.low = static_cast<double>(low);
  scale.high = static_cast<double>(high);
  count_bins(values, scale);
  return scale;
}

ValueScale signed_scale_of(const std::vector<float>& values, double middle, Worst worst) {
  ValueScale scale = scale_of(values, worst);
  if (scale.with_value == 0) return scale;
  const double reach = std::max(scale.high - middle, middle - scale.low);
  scale.low = middle - reach;
  scale.high = middle + reach;
  count_bins(values, scale);
  return scale;
}

void levels_of(const std::vector<float>& values, const ValueScale& scale, std::vector<Level>& levels) {
  levels.resize(values.size());
  const auto low = static_cast<float>(scale.low);
  const auto range = static_cast<float>(scale.high - scale.low);
  // All alike: in the middle of the colours, neither good nor bad.
  const float factor = range > 0.0F ? static_cast<float>(kSteps) / range : 0.0F;
  const float constant = range > 0.0F ? 0.5F : static_cast<float>(kSteps) / 2.0F;
  const bool up = scale.high_is_worst;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const float v = values[i];
    const float step = (v - low) * factor + constant;
    const auto rounded = static_cast<Level>(std::isnan(v) ? 0.0F : step);
    levels[i] = std::isnan(v) ? kWithoutValue : static_cast<Level>(up ? kBest + rounded : kWorst - rounded);
  }
}

double position_of(Level level, const ValueScale& scale) {
  const double t = static_cast<double>((level & 0xFF) - kBest) / kSteps;
  return scale.high_is_worst ? t : 1.0 - t;
}

ColourMap colour_map_of(std::string_view quantity) {
  if (quantity == "utilisation") return ColourMap::kViridis;
  if (quantity == "waiting" || quantity == "temperature_c") return ColourMap::kAmber;
  if (quantity == "power_w" || quantity == "power_limit_w") return ColourMap::kBlue;
  return ColourMap::kPurple;
}

QColor colour_at(ColourMap map, double t, bool dark) {
  const std::span<const QRgb> stops = stops_of(map, dark);
  const double at = std::clamp(t, 0.0, 1.0) * static_cast<double>(stops.size() - 1);
  const auto i = std::min(static_cast<std::size_t>(at), stops.size() - 2);
  return mixed(QColor(stops[i]), QColor(stops[i + 1]), at - static_cast<double>(i));
}

QColor colour_on(const ValueScale& scale, ColourMap map, double t, bool dark) {
  const bool mirrored = map == ColourMap::kBrownTeal && scale.high_is_worst;
  return colour_at(map, mirrored ? 1.0 - t : t, dark);
}

QColor without_colour(bool dark) { return dark ? QColor("#2c313a") : QColor("#dfe2e7"); }

QColor kind_colour(std::size_t index, bool dark) {
  static const std::array<const char*, 6> kLight = {"#3565c4", "#0f8a7e", "#c2781a", "#8350c9", "#a3457f", "#5c7a29"};
  static const std::array<const char*, 6> kDark = {"#5b8def", "#2fb8a8", "#e0a043", "#a988f5", "#d879b4", "#93b455"};
  return QColor((dark ? kDark : kLight)[index % kLight.size()]);
}

LevelColours value_colours(ColourMap map, const ValueScale& scale, const QColor& ground, const QColor& without,
                           bool dark, bool some_selected) {
  std::array<QColor, 256> colours;
  colours[kNothing] = ground;
  colours[kWithoutValue] = without;
  for (Level level = kBest; level <= kWorst; ++level) colours[level] = colour_on(scale, map, position_of(level, scale), dark);
  return with_selection(colours, ground, some_selected);
}

LevelColours kind_colours(std::size_t kinds, const QColor& ground, const QColor& without, bool dark,
                          bool some_selected) {
  std::array<QColor, 256> colours;
  colours.fill(ground);
  colours[kWithoutValue] = without;
  for (std::size_t i = 0; i < std::min<std::size_t>(kinds, kSteps); ++i) colours[kBest + i] = kind_colour(i, dark);
  return with_selection(colours, ground, some_selected);
}

}  // namespace lindos::gui
