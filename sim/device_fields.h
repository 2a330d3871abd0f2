// SPDX-License-Identifier: Apache-2.0
// Collects what a prediction says per device for a DeviceMap: devices without a value are absent, not zero.
//   DeviceFields fields(map.pools);
//   fields.set("power_w", pool, first, devices, watts.value());
//   map.fields = fields.encoded();
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/device_map.h"

namespace lindos::sim {

class DeviceFields {
 public:
  explicit DeviceFields(const std::vector<PoolShape>& pools);
  // Devices [first, first + devices) of a pool. REQUIRES: the pool has them; a quantity of the registry.
  void set(const char* quantity, int pool, std::int64_t first, std::int64_t devices, double value);
  // In the order of the registry.
  [[nodiscard]] std::vector<DeviceField> encoded() const;

 private:
  std::int64_t devices_ = 0;
  std::vector<std::int64_t> begins_;  // of each pool
  std::map<std::string, std::vector<float>> values_;
};

}  // namespace lindos::sim
