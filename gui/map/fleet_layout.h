// SPDX-License-Identifier: GPL-3.0-or-later
// Where every GPU of a fleet lies on the map: site › hall › array › rack › node › GPU, one unit square per GPU.
// Partial racks, arrays and halls are kept. An array whose racks lie in two halls shows as two parts. Pure numbers,
// no widgets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "scenarios/device_map.h"

namespace lindos::gui {

struct Box {
  double x = 0.0, y = 0.0, w = 0.0, h = 0.0;
  [[nodiscard]] bool contains(double px, double py) const { return px >= x && py >= y && px < x + w && py < y + h; }
};

// Devices are numbered through the pools; racks, arrays and halls inside their pool. −1: the scenario names no such
// unit.
struct HallBox {
  int pool = 0, hall = -1;
  Box box;  // without its title
  std::int64_t first = 0, devices = 0;
  std::size_t first_array = 0, arrays = 0;
};
struct ArrayBox {
  int pool = 0, array = -1;
  Box box;
  std::int64_t first = 0, devices = 0;
  std::size_t first_rack = 0, racks = 0;
};
struct RackBox {
  int pool = 0, rack = -1;
  double x = 0.0, y = 0.0;
  int columns = 1, rows = 1;
  int rows_per_node = 1;
  std::int64_t first = 0, devices = 0;
};

// Position of one device. −1 as above.
struct DevicePlace {
  int pool = 0, hall = -1, array = -1, rack = -1;
  std::int64_t node = 0;  // in its pool
  int device = 0;         // in its node
};

class FleetLayout {
 public:
  // `aspect`: wanted width / height of the site.
  explicit FleetLayout(std::vector<PoolShape> pools, double aspect = 1.5);

  [[nodiscard]] const std::vector<PoolShape>& pools() const { return pools_; }
  [[nodiscard]] const std::vector<HallBox>& halls() const { return halls_; }
  [[nodiscard]] const std::vector<ArrayBox>& arrays() const { return arrays_; }
  [[nodiscard]] const std::vector<RackBox>& racks() const { return racks_; }
  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] double height() const { return height_; }
  [[nodiscard]] double title_height() const { return title_height_; }  // above each hall
  [[nodiscard]] std::int64_t devices() const { return devices_; }
  [[nodiscard]] std::int64_t pool_begin(int pool) const { return begins_[static_cast<std::size_t>(pool)]; }

  // REQUIRES: 0 <= device < devices().
  [[nodiscard]] Box cell(std::int64_t device) const;
  [[nodiscard]] const RackBox& rack_of(std::int64_t device) const;
  [[nodiscard]] DevicePlace place(std::int64_t device) const;
  // nullopt between cells.
  [[nodiscard]] std::optional<std::int64_t> device_at(double x, double y) const;
  [[nodiscard]] const HallBox* hall_at(double x, double y) const;
  [[nodiscard]] const ArrayBox* array_at(double x, double y) const;

 private:
  void place_pool(int pool);
  HallBox place_hall(int pool, std::int64_t first_rack, std::int64_t racks);
  void arrange_halls(double aspect);
  void move_hall(HallBox& hall, double dx, double dy);
  [[nodiscard]] std::int64_t nodes_per_rack(const PoolShape& pool) const;

  std::vector<PoolShape> pools_;
  std::vector<std::int64_t> begins_;
  std::vector<HallBox> halls_;
  std::vector<ArrayBox> arrays_;
  std::vector<RackBox> racks_;
  double width_ = 0.0, height_ = 0.0, title_height_ = 1.0;
  std::int64_t devices_ = 0;
};

}  // namespace lindos::gui
