// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/map/map_raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <thread>
#include <utility>

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

// Racks that stand in one row, each cell at least one pixel wide and high: a row of cells is painted once over all racks and
// copied down as a whole.
void paint_large(const Target& target, const RackBox* racks, std::size_t count, const Level* levels,
                 const LevelColours& colours, const MapView& view) {
  const int gap = view.scale >= kGapFrom ? 1 : 0;
  const RackBox& first = racks[0];
  const RackBox& last = racks[count - 1];
  const int left = std::max(pixel(first.x, view.x, view.scale), 0);
  const int right = std::min(pixel(last.x + last.columns, view.x, view.scale), target.width);
  if (left >= right) return;
  const int first_row = std::max(0, static_cast<int>(std::floor(view.y + target.first / view.scale - first.y)) - 1);
  const int last_row =
      std::min<int>(first.rows, static_cast<int>(std::ceil(view.y + target.last / view.scale - first.y)) + 1);
  const auto bytes = static_cast<std::size_t>(right - left) * sizeof(QRgb);
  for (int row = first_row; row < last_row; ++row) {
    const int node_gap = (row + 1) % first.rows_per_node == 0 ? gap : 0;
    const int top = std::max(pixel(first.y + row, view.y, view.scale), target.first);
    const int bottom = std::min(pixel(first.y + row + 1, view.y, view.scale) - gap - node_gap, target.last);
    if (top >= bottom) continue;
    QRgb* line = target.pixels + static_cast<std::ptrdiff_t>(top) * target.stride;
    for (const RackBox* rack = racks; rack != racks + count; ++rack) {
      if (row >= rack->rows) continue;
      const Level* cells = levels + rack->first + static_cast<std::ptrdiff_t>(row) * rack->columns;
      int from = pixel(rack->x, view.x, view.scale);
      for (int c = 0; c < rack->columns; ++c) {
        const int next = pixel(rack->x + c + 1, view.x, view.scale);
        const int begin = std::max(from, left), end = std::min(next - gap, right);
        if (begin < end) std::fill(line + begin, line + end, colours[cells[c]]);
        from = next;
      }
    }
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
      const RackBox* racks = layout.racks().data() + array.first_rack;
      for (std::size_t r = 0; r < array.racks;) {
        if (!large) {
          reduce_small(target, racks[r], levels.data() + racks[r].first, view, scratch.data());
          ++r;
          continue;
        }
        // The first of a row is never the shorter one.
        std::size_t count = 1;
        while (r + count < array.racks && racks[r + count].y == racks[r].y) ++count;
        paint_large(target, racks + r, count, levels.data(), colours, view);
        r += count;
      }
    }
    if (!large) colour_small(target, hall.box, colours, view, scratch.data());
  }
}

Level value_of(Level level) { return level & (kSelected - 1); }

// How far a level is from the middle, from 1 on.
Level strength_of(Level level) {
  constexpr int kMiddle = (kBest + kWorst) / 2;
  return static_cast<Level>(1 + std::abs(value_of(level) - kMiddle));
}

void paint_racks(const Target& target, const FleetLayout& layout, const std::vector<Level>& levels, const SignedRule& rule,
                 const LevelColours& colours, const MapView& view) {
  for (std::size_t r = 0; r < layout.racks().size(); ++r) {
    const RackBox& rack = layout.racks()[r];
    const Box box{rack.x, rack.y, static_cast<double>(rack.columns), static_cast<double>(rack.rows)};
    if (outside(box, view, target)) continue;
    const int left = std::max(pixel(box.x, view.x, view.scale), 0);
    const int right = std::min(std::max(pixel(box.x + box.w, view.x, view.scale), left + 1), target.width);
    const int top = std::max(pixel(box.y, view.y, view.scale), target.first);
    const int bottom = std::min(std::max(pixel(box.y + box.h, view.y, view.scale), top + 1), target.last);
    // A rack is chosen by any of its cells.
    const Level* own = levels.data() + rack.first;
    const bool chosen = std::any_of(own, own + rack.devices, [](Level level) { return (level & kSelected) != 0; });
    const QRgb colour = colours[rule.medians[r] | (chosen ? kSelected : kNothing)];
    for (int y = top; y < bottom && left < right; ++y) {
      QRgb* line = target.pixels + static_cast<std::ptrdiff_t>(y) * target.stride;
      std::fill(line + left, line + right, colour);
    }
  }
}

// Where dots meet, the one farther from the middle wins.
void paint_dots(const Target& target, const FleetLayout& layout, const std::vector<Level>& levels, const SignedRule& rule,
                const LevelColours& colours, const MapView& view, std::vector<Level>& scratch) {
  constexpr int kDot = 2;
  for (std::size_t r = 0; r < layout.racks().size(); ++r) {
    const RackBox& rack = layout.racks()[r];
    const int median = rule.medians[r];
    for (std::int64_t i = 0; i < rack.devices; ++i) {
      const Level level = levels[static_cast<std::size_t>(rack.first + i)];
      const int value = value_of(level);
      if (value < kBest || (median >= kBest && std::abs(value - median) <= rule.reach)) continue;
      const int left = pixel(rack.x + static_cast<double>(i % rack.columns), view.x, view.scale);
      const int top = pixel(rack.y + static_cast<double>(i / rack.columns), view.y, view.scale);
      for (int y = std::max(top, target.first); y < std::min(top + kDot, target.last); ++y) {
        for (int x = std::max(left, 0); x < std::min(left + kDot, target.width); ++x) {
          Level& strongest = scratch[static_cast<std::size_t>(y) * static_cast<std::size_t>(target.width) + static_cast<std::size_t>(x)];
          if (strongest >= strength_of(level)) continue;
          strongest = strength_of(level);
          target.pixels[static_cast<std::ptrdiff_t>(y) * target.stride + x] = colours[level];
        }
      }
    }
  }
}

}  // namespace

SignedRule signed_rule_of(const FleetLayout& layout, const std::vector<Level>& levels) {
  constexpr int kFarOut = 3;
  constexpr int kLeast = (kWorst - kBest) / 20;
  constexpr int kZero = kWorst;  // of the distances, which have either sign
  std::array<std::int64_t, 2 * kZero + 1> distances{};
  std::int64_t with_value = 0;
  const auto quantile = [](const auto& counts, std::int64_t all, double at) {
    auto left = static_cast<std::int64_t>(at * static_cast<double>(all - 1));
    std::size_t i = 0;
    while (i + 1 < counts.size() && left >= counts[i]) left -= counts[i++];
    return static_cast<int>(i);
  };
  SignedRule rule;
  rule.medians.reserve(layout.racks().size());
  for (const RackBox& rack : layout.racks()) {
    std::array<std::int64_t, kSelected> counts{};
    for (std::int64_t i = 0; i < rack.devices; ++i) ++counts[value_of(levels[static_cast<std::size_t>(rack.first + i)])];
    const std::int64_t own = rack.devices - std::exchange(counts[kWithoutValue], 0);
    const bool most = own > 0 && 2 * own >= rack.devices;
    rule.medians.push_back(most ? static_cast<Level>(quantile(counts, own, 0.5)) : kWithoutValue);
    if (!most) continue;
    with_value += own;
    for (int level = kBest; level <= kWorst; ++level)
      distances[static_cast<std::size_t>(kZero + level - rule.medians.back())] += counts[static_cast<std::size_t>(level)];
  }
  if (with_value == 0) return rule;
  const int q1 = quantile(distances, with_value, 0.25) - kZero, q3 = quantile(distances, with_value, 0.75) - kZero;
  rule.reach = std::max(std::max(-q1, q3) + kFarOut * (q3 - q1), kLeast);
  return rule;
}

void paint_changes(QImage& image, const FleetLayout& layout, const std::vector<Level>& levels, const SignedRule& rule,
                   const LevelColours& colours, QRgb ground, const MapView& view, std::vector<Level>& scratch) {
  if (view.scale >= kRacksBelow) return paint_cells(image, layout, levels, colours, ground, view, scratch);
  const Target whole{reinterpret_cast<QRgb*>(image.bits()), static_cast<int>(image.bytesPerLine() / 4), image.width(), 0,
                     image.height()};
  for (int y = 0; y < whole.last; ++y) {
    QRgb* line = whole.pixels + static_cast<std::ptrdiff_t>(y) * whole.stride;
    std::fill(line, line + whole.width, ground);
  }
  scratch.assign(static_cast<std::size_t>(image.width()) * static_cast<std::size_t>(image.height()), kNothing);
  paint_racks(whole, layout, levels, rule, colours, view);
  paint_dots(whole, layout, levels, rule, colours, view, scratch);
}

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
