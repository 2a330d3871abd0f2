// SPDX-License-Identifier: GPL-3.0-or-later
// From values to colours of the map. A cell has a level of 16 bits: the higher one wins where cells share a pixel, so
// that a lone straggler stays visible however small the picture is. Bits 0–7: 0 nothing here, 1 without a value, 2 …
// 255 the value, 255 the worst; bit 8: the cell belongs to what is selected. Pure numbers and colours, no widgets.
#pragma once

#include <QColor>
#include <QRgb>
#include <array>
#include <cstdint>
#include <vector>

#include "scenarios/metrics.h"

namespace lindos::gui {

using Level = std::uint16_t;
inline constexpr Level kNothing = 0;
inline constexpr Level kWithoutValue = 1;
inline constexpr Level kBest = 2;
inline constexpr Level kWorst = 255;
inline constexpr Level kSelected = 256;
using LevelColours = std::array<QRgb, 512>;

// What a colour bar shows.
struct ValueScale {
  double low = 0.0, high = 1.0;   // of the values; equal when all are
  bool high_is_worst = true;
  std::int64_t with_value = 0, without = 0;
  std::array<std::int64_t, 64> histogram{};  // low … high
};

// `worst`: which end wins (kAbs is not a map's).
[[nodiscard]] ValueScale scale_of(const std::vector<float>& values, Worst worst);
// Of a signed field: `middle` stands in the middle of the colours, the largest distance from it at an end.
[[nodiscard]] ValueScale signed_scale_of(const std::vector<float>& values, double middle, Worst worst);
void levels_of(const std::vector<float>& values, const ValueScale& scale, std::vector<Level>& levels);
// 0 … 1 from low to high.
[[nodiscard]] double position_of(Level level, const ValueScale& scale);

// Maps that colour-blind readers can order: sequential ones, and for signed fields brown (worse) to teal (better).
enum class ColourMap { kViridis, kPurple, kAmber, kBlue, kBrownTeal };
[[nodiscard]] ColourMap colour_map_of(std::string_view quantity);
// At t in 0 … 1; on a dark ground high values are light, of a signed field both ends.
[[nodiscard]] QColor colour_at(ColourMap map, double t, bool dark);
// The colour of a value, `t` from low (0) to high (1) on its scale.
[[nodiscard]] QColor colour_on(const ValueScale& scale, ColourMap map, double t, bool dark);
// Of a cell without a value: no colour of a map comes near it.
[[nodiscard]] QColor without_colour(bool dark);
// Distinct colours for kinds; repeats after six.
[[nodiscard]] QColor kind_colour(std::size_t index, bool dark);

// `ground` shows between cells; what is not selected fades into it when `some_selected`.
[[nodiscard]] LevelColours value_colours(ColourMap map, const ValueScale& scale, const QColor& ground,
                                         const QColor& without, bool dark, bool some_selected);
// Level kBest + i is kind i.
[[nodiscard]] LevelColours kind_colours(std::size_t kinds, const QColor& ground, const QColor& without, bool dark,
                                        bool some_selected);

}  // namespace lindos::gui
