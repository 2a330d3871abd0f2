// SPDX-License-Identifier: GPL-3.0-or-later
// Paints the cells of a map into an image, in device pixels. From one pixel per cell on, cells are scan lines that
// are copied; below, each cell falls into one pixel and the worst level of a pixel wins.
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

}  // namespace lindos::gui
