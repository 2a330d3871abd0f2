// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/map/map_raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <thread>

namespace lindos::gui {

namespace {

constexpr double kGapFrom = 4.0;  // pixels per cell from which cells are set apart
constexpr int kMostColumns = 8;
constexpr qsizetype kSharedFrom = 4'000'000;  // pixels from which a second core paints half of them; 8.3 million at 4K

int pixel(double position, double origin, double scale) {
  return static_cast<int>(std::floor((position - origin) * scale));
}

// The rows [first, last) of an image.
struct Target {
  QRgb* pixels;
  int stride;  // in pixels
  int width;
  int first, last;
};

bool outside(const Box& box, const MapView& view, const Target& target) {
  return (box.x + box.w - view.x) * view.scale < 0.0 || (box.y + box.h - view.y) * view.scale < target.first ||
         (box.x - view.x) * view.scale >= target.width || (box.y - view.y) * view.scale >= target.last;
}

// Each cell at least one pixel wide and high.
void paint_large(const Target& target, const RackBox& rack, const Level* levels, const LevelColours& colours,
                 const MapView& view) {
  std::array<int, kMostColumns + 1> edge{};
  for (int c = 0; c <= rack.columns; ++c) edge[static_cast<std::size_t>(c)] = pixel(rack.x + c, view.x, view.scale);
  const int left = std::max(edge[0], 0);
  const int right = std::min(edge[static_cast<std::size_t>(rack.columns)], target.width);
  if (left >= right) return;
  const int gap = view.scale >= kGapFrom ? 1 : 0;
  const int first_row = std::max(0, static_cast<int>(std::floor(view.y + target.first / view.scale - rack.y)) - 1);
  const int last_row =
      std::min<int>(rack.rows, static_cast<int>(std::ceil(view.y + target.last / view.scale - rack.y)) + 1);
  for (int row = first_row; row < last_row; ++row) {
    const int node_gap = (row + 1) % rack.rows_per_node == 0 ? gap : 0;
    const int top = std::max(pixel(rack.y + row, view.y, view.scale), target.first);
    const int bottom = std::min(pixel(rack.y + row + 1, view.y, view.scale) - gap - node_gap, target.last);
    if (top >= bottom) continue;
    QRgb* line = target.pixels + static_cast<std::ptrdiff_t>(top) * target.stride;
    const Level* cells = levels + static_cast<std::ptrdiff_t>(row) * rack.columns;
    for (int c = 0; c < rack.columns; ++c) {
      const int from = std::max(edge[static_cast<std::size_t>(c)], left);
      const int to = std::min(edge[static_cast<std::size_t>(c) + 1] - gap, right);
      if (from < to) std::fill(line + from, line + to, colours[cells[c]]);
    }
    const auto bytes = static_cast<std::size_t>(right - left) * sizeof(QRgb);
    for (int y = top + 1; y < bottom; ++y) {
      std::memcpy(target.pixels + static_cast<std::ptrdiff_t>(y) * target.stride + left, line + left, bytes);
    }
  }
}

// Several cells to a pixel: the worst of each pixel, first as levels.
void reduce_small(const Target& target, const RackBox& rack, const Level* levels, const MapView& view, Level* worst) {
  std::array<int, kMostColumns> column{};
  for (int c = 0; c < rack.columns; ++c) column[static_cast<std::size_t>(c)] = pixel(rack.x + c, view.x, view.scale);
  for (int row = 0; row < rack.rows; ++row, levels += rack.columns) {
    const int y = pixel(rack.y + row, view.y, view.scale);
    if (y < target.first || y >= target.last) continue;
    Level* line = worst + static_cast<std::ptrdiff_t>(y) * target.width;
    for (int c = 0; c < rack.columns; ++c) {
      const int x = column[static_cast<std::size_t>(c)];
      if (x >= 0 && x < target.width) line[x] = std::max(line[x], levels[c]);
    }
  }
}

void colour_small(const Target& target, const Box& box, const LevelColours& colours, const MapView& view,
                  const Level* worst) {
  const int left = std::max(pixel(box.x, view.x, view.scale), 0);
  const int right = std::min(pixel(box.x + box.w, view.x, view.scale) + 1, target.width);
  const int top = std::max(pixel(box.y, view.y, view.scale), target.first);
  const int bottom = std::min(pixel(box.y + box.h, view.y, view.scale) + 1, target.last);
  for (int y = top; y < bottom; ++y) {
    QRgb* line = target.pixels + static_cast<std::ptrdiff_t>(y) * target.stride;
    const Level* from = worst + static_cast<std::ptrdiff_t>(y) * target.width;
    for (int x = left; x < right; ++x) {
      if (from[x] != kNothing) line[x] = colours[from[x]];
    }
  }
}

void paint_rows(const Target& target, const FleetLayout& layout, const std::vector<Level>& levels,
                const LevelColours& colours, QRgb ground, const MapView& view, std::vector<Level>& scratch) {
  for (int y = target.first; y < target.last; ++y) {
    QRgb* line = target.pixels + static_cast<std::ptrdiff_t>(y) * target.stride;
    std::fill(line, line + target.width, ground);
  }
  const bool large = view.scale >= 1.0;
  if (!large) {
    const auto at = [&](int row) { return scratch.begin() + static_cast<std::ptrdiff_t>(row) * target.width; };
    std::fill(at(target.first), at(target.last), kNothing);
  }
  for (const HallBox& hall : layout.halls()) {
    if (outside(hall.box, view, target)) continue;
    for (std::size_t a = hall.first_array; a < hall.first_array + hall.arrays; ++a) {
      const ArrayBox& array = layout.arrays()[a];
      if (outside(array.box, view, target)) continue;
      for (std::size_t r = array.first_rack; r < array.first_rack + array.racks; ++r) {
        const RackBox& rack = layout.racks()[r];
        const Level* own = levels.data() + rack.first;
        if (large) {
          paint_large(target, rack, own, colours, view);
        } else {
          reduce_small(target, rack, own, view, scratch.data());
        }
      }
    }
    if (!large) colour_small(target, hall.box, colours, view, scratch.data());
  }
}

}  // namespace

void paint_cells(QImage& image, const FleetLayout& layout, const std::vector<Level>& levels,
                 const LevelColours& colours, QRgb ground, const MapView& view, std::vector<Level>& scratch) {
  const qsizetype pixels = static_cast<qsizetype>(image.width()) * image.height();
  if (view.scale < 1.0) scratch.resize(static_cast<std::size_t>(pixels));
  const Target whole{reinterpret_cast<QRgb*>(image.bits()), static_cast<int>(image.bytesPerLine() / 4), image.width(), 0,
                     image.height()};
  const auto paint = [&](int first, int last) {
    Target rows = whole;
    rows.first = first;
    rows.last = last;
    paint_rows(rows, layout, levels, colours, ground, view, scratch);
  };
  if (pixels < kSharedFrom) return paint(0, image.height());
  // Rows of their own: the threads share nothing that either writes.
  const int half = image.height() / 2;
  std::thread other(paint, half, image.height());
  paint(0, half);
  other.join();
}

}  // namespace lindos::gui
