// SPDX-License-Identifier: GPL-3.0-or-later
#include "gui/map/fleet_layout.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lindos::gui {

namespace {

// In widths of a cell.
constexpr double kRackGap = 1.0;
constexpr double kRackRowGap = 2.0;
constexpr double kArrayGapX = 3.0;
constexpr double kArrayGapY = 4.0;  // room for the names of array and racks
constexpr double kHallMargin = 3.0;
constexpr int kWidestNode = 4;
// Nodes that are shown as one block where the scenario names no racks.
constexpr std::int64_t kBlock = 8;
// Racks of an array stand in one row up to this many.
constexpr std::int64_t kLongestRow = 12;
// Of a hall and of an array without rows, width / height.
constexpr double kHallAspect = 1.15;

// The widest column count up to four that a node's devices fill.
int columns_of(int devices_per_node) {
  for (int columns = kWidestNode; columns > 1; --columns) {
    if (devices_per_node % columns == 0) return columns;
  }
  return 1;
}

std::int64_t columns_for(std::int64_t count, double cell_width, double cell_height, double aspect) {
  const double ideal = std::sqrt(static_cast<double>(count) * aspect * cell_height / cell_width);
  return std::clamp<std::int64_t>(std::llround(ideal), 1, count);
}

}  // namespace

FleetLayout::FleetLayout(std::vector<PoolShape> pools, double aspect) : pools_(std::move(pools)) {
  for (const PoolShape& pool : pools_) {
    begins_.push_back(devices_);
    devices_ += pool.devices();
  }
  // A title takes the same share of the picture whatever the size of the fleet.
  title_height_ = std::max(0.9, 0.036 * std::sqrt(static_cast<double>(devices_)));
  for (std::size_t p = 0; p < pools_.size(); ++p) place_pool(static_cast<int>(p));
  arrange_halls(aspect);
}

std::int64_t FleetLayout::nodes_per_rack(const PoolShape& pool) const {
  return pool.nodes_per_rack > 0 ? pool.nodes_per_rack : kBlock;
}

void FleetLayout::place_pool(int index) {
  const PoolShape& pool = pools_[static_cast<std::size_t>(index)];
  const std::int64_t per_rack = nodes_per_rack(pool);
  const std::int64_t racks = (pool.nodes + per_rack - 1) / per_rack;
  const std::int64_t per_hall = pool.racks_per_hall > 0 ? pool.racks_per_hall : std::max<std::int64_t>(racks, 1);
  for (std::int64_t first = 0; first < racks; first += per_hall) {
    halls_.push_back(place_hall(index, first, std::min(per_hall, racks - first)));
  }
}

// At the origin; arrange_halls moves it.
HallBox FleetLayout::place_hall(int index, std::int64_t first_rack, std::int64_t racks) {
  const PoolShape& pool = pools_[static_cast<std::size_t>(index)];
  const std::int64_t per_rack = nodes_per_rack(pool);
  const int columns = columns_of(pool.devices_per_node);
  const int rows_per_node = pool.devices_per_node / columns;
  const double rack_height = static_cast<double>(std::min(per_rack, pool.nodes) * rows_per_node);
  const std::int64_t begin = begins_[static_cast<std::size_t>(index)];
  const std::int64_t per_array = pool.racks_per_array > 0 ? pool.racks_per_array : racks;
  const std::int64_t across = per_array <= kLongestRow ? std::min(per_array, racks)
                                                       : columns_for(std::min(per_array, racks), columns + kRackGap,
                                                                     rack_height + kRackRowGap, kHallAspect);
  const std::int64_t down = (std::min(per_array, racks) + across - 1) / across;
  const double array_width = static_cast<double>(across) * (columns + kRackGap) - kRackGap;
  const double array_height = static_cast<double>(down) * (rack_height + kRackRowGap) - kRackRowGap;
  const std::int64_t first_array = first_rack / per_array;
  const std::int64_t arrays = (first_rack + racks - 1) / per_array - first_array + 1;
  const std::int64_t array_columns =
      columns_for(arrays, array_width + kArrayGapX, array_height + kArrayGapY, kHallAspect);

  HallBox hall;
  hall.pool = index;
  hall.hall = pool.racks_per_hall > 0 ? static_cast<int>(first_rack / pool.racks_per_hall) : -1;
  hall.first_array = arrays_.size();
  const double margin = std::min(kHallMargin, title_height_);
  for (std::int64_t a = 0; a < arrays; ++a) {
    ArrayBox array;
    array.pool = index;
    array.array = pool.racks_per_array > 0 ? static_cast<int>(first_array + a) : -1;
    array.first_rack = racks_.size();
    const double x = margin + static_cast<double>(a % array_columns) * (array_width + kArrayGapX);
    const double y = margin + static_cast<double>(a / array_columns) * (array_height + kArrayGapY);
    const std::int64_t from = std::max(first_rack, (first_array + a) * per_array);
    const std::int64_t to = std::min(first_rack + racks, (first_array + a + 1) * per_array);
    for (std::int64_t k = from; k < to; ++k) {
      const std::int64_t nodes = std::min(per_rack, pool.nodes - k * per_rack);
      RackBox rack;
      rack.pool = index;
      rack.rack = pool.nodes_per_rack > 0 ? static_cast<int>(k) : -1;
      rack.columns = columns;
      rack.rows_per_node = rows_per_node;
      rack.rows = static_cast<int>(nodes) * rows_per_node;
      rack.x = x + static_cast<double>((k - from) % across) * (columns + kRackGap);
      rack.y = y + static_cast<double>((k - from) / across) * (rack_height + kRackRowGap);
      rack.first = begin + k * per_rack * pool.devices_per_node;
      rack.devices = nodes * pool.devices_per_node;
      array.devices += rack.devices;
      if (k == from) array.first = rack.first;
      racks_.push_back(rack);
    }
    array.racks = racks_.size() - array.first_rack;
    const std::int64_t shown = to - from;
    array.box = {x, y, static_cast<double>(std::min(shown, across)) * (columns + kRackGap) - kRackGap,
                 static_cast<double>((shown + across - 1) / across) * (rack_height + kRackRowGap) - kRackRowGap};
    if (a == 0) hall.first = array.first;
    hall.devices += array.devices;
    hall.box.w = std::max(hall.box.w, x + array.box.w + margin);
    hall.box.h = std::max(hall.box.h, y + array.box.h + margin);
    arrays_.push_back(array);
  }
  hall.arrays = arrays_.size() - hall.first_array;
  return hall;
}

void FleetLayout::arrange_halls(double aspect) {
  const double gap = title_height_ * 0.6;
  const auto arranged = [&](std::size_t per_row, bool keep) {
    double width = 0.0;
    double y = 0.0;
    for (std::size_t i = 0; i < halls_.size(); i += per_row) {
      double x = 0.0;
      double height = 0.0;
      for (std::size_t h = i; h < std::min(halls_.size(), i + per_row); ++h) {
        if (keep) move_hall(halls_[h], x, y + title_height_);
        x += halls_[h].box.w + gap;
        height = std::max(height, halls_[h].box.h + title_height_);
      }
      width = std::max(width, x - gap);
      y += height + gap;
    }
    return std::pair(width, y - gap);
  };
  std::size_t best = 1;
  double least = HUGE_VAL;
  for (std::size_t per_row = 1; per_row <= halls_.size(); ++per_row) {
    const auto [w, h] = arranged(per_row, false);
    const double size = std::max(w / aspect, h);
    if (size >= least) continue;
    least = size;
    best = per_row;
  }
  const auto [w, h] = arranged(best, true);
  width_ = std::max(w, 1.0);
  height_ = std::max(h, 1.0);
}

void FleetLayout::move_hall(HallBox& hall, double dx, double dy) {
  hall.box.x += dx;
  hall.box.y += dy;
  for (std::size_t a = hall.first_array; a < hall.first_array + hall.arrays; ++a) {
    arrays_[a].box.x += dx;
    arrays_[a].box.y += dy;
    for (std::size_t r = arrays_[a].first_rack; r < arrays_[a].first_rack + arrays_[a].racks; ++r) {
      racks_[r].x += dx;
      racks_[r].y += dy;
    }
  }
}

const RackBox& FleetLayout::rack_of(std::int64_t device) const {
  const auto after = std::upper_bound(racks_.begin(), racks_.end(), device,
                                      [](std::int64_t d, const RackBox& rack) { return d < rack.first; });
  return *(after - 1);
}

Box FleetLayout::cell(std::int64_t device) const {
  const RackBox& rack = rack_of(device);
  const std::int64_t i = device - rack.first;
  return {rack.x + static_cast<double>(i % rack.columns), rack.y + static_cast<double>(i / rack.columns), 1.0, 1.0};
}

DevicePlace FleetLayout::place(std::int64_t device) const {
  const RackBox& rack = rack_of(device);
  const PoolShape& pool = pools_[static_cast<std::size_t>(rack.pool)];
  const std::int64_t local = device - pool_begin(rack.pool);
  DevicePlace place;
  place.pool = rack.pool;
  place.rack = rack.rack;
  if (rack.rack >= 0 && pool.racks_per_array > 0) place.array = rack.rack / pool.racks_per_array;
  if (rack.rack >= 0 && pool.racks_per_hall > 0) place.hall = rack.rack / pool.racks_per_hall;
  place.node = local / pool.devices_per_node;
  place.device = static_cast<int>(local % pool.devices_per_node);
  return place;
}

const HallBox* FleetLayout::hall_at(double x, double y) const {
  for (const HallBox& hall : halls_) {
    if (hall.box.contains(x, y)) return &hall;
  }
  return nullptr;
}

const ArrayBox* FleetLayout::array_at(double x, double y) const {
  const HallBox* hall = hall_at(x, y);
  if (hall == nullptr) return nullptr;
  for (std::size_t a = hall->first_array; a < hall->first_array + hall->arrays; ++a) {
    if (arrays_[a].box.contains(x, y)) return &arrays_[a];
  }
  return nullptr;
}

std::optional<std::int64_t> FleetLayout::device_at(double x, double y) const {
  const ArrayBox* array = array_at(x, y);
  if (array == nullptr) return std::nullopt;
  for (std::size_t r = array->first_rack; r < array->first_rack + array->racks; ++r) {
    const RackBox& rack = racks_[r];
    if (x < rack.x || y < rack.y || x >= rack.x + rack.columns || y >= rack.y + rack.rows) continue;
    return rack.first + static_cast<std::int64_t>(y - rack.y) * rack.columns + static_cast<std::int64_t>(x - rack.x);
  }
  return std::nullopt;
}

}  // namespace lindos::gui
