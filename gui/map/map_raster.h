// SPDX-License-Identifier: GPL-3.0-or-later
// Paints the cells of a map into an image, in device pixels. From one pixel per cell on, cells are scan lines that
// are copied; below, each cell falls into one pixel and the worst level of a pixel wins. Signed fields have no worst end:
// below two pixels per cell a rack shows its median, and cells that stand out of all are dots.
#pragma once

#include <QImage>
#include <vector>

#include "gui/map/fleet_layout.h"
#include "gui/map/map_colours.h"

namespace lindos::gui {

// Pixel = (position − origin) × scale.
struct MapView {
  double scale = 1.0;
  double x = 0.0, y = 0.0;
  bool operator==(const MapView&) const = default;
};

// `image` is of Format_RGB32; all of it is painted, `ground` where there are no cells. `levels`: one per device. `scratch`
// keeps its memory between calls. Pictures of 4K are painted by two threads.
void paint_cells(QImage& image, const FleetLayout& layout, const std::vector<Level>& levels,
                 const LevelColours& colours, QRgb ground, const MapView& view, std::vector<Level>& scratch);

// How a signed field is reduced.
struct SignedRule {
  std::vector<Level> medians;  // one per rack of the layout; kWithoutValue where most cells have none
  int reach = kWorst;          // cells farther from their rack's median are dots
};
// Far out by Tukey's rule, three quartile distances beyond the quartiles of all distances, and a twentieth of the colours.
[[nodiscard]] SignedRule signed_rule_of(const FleetLayout& layout, const std::vector<Level>& levels);
inline constexpr double kRacksBelow = 2.0;  // pixels per cell

// As paint_cells, of a signed field. `rule`: of these levels.
void paint_changes(QImage& image, const FleetLayout& layout, const std::vector<Level>& levels, const SignedRule& rule,
                   const LevelColours& colours, QRgb ground, const MapView& view, std::vector<Level>& scratch);

}  // namespace lindos::gui
