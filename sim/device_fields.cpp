// SPDX-License-Identifier: Apache-2.0
#include "sim/device_fields.h"

#include <algorithm>
#include <limits>

namespace lindos::sim {

DeviceFields::DeviceFields(const std::vector<PoolShape>& pools) {
  for (const PoolShape& pool : pools) {
    begins_.push_back(devices_);
    devices_ += pool.devices();
  }
}

void DeviceFields::set(const char* quantity, int pool, std::int64_t first, std::int64_t devices, double value) {
  std::vector<float>& values = values_[quantity];
  if (values.empty()) values.assign(static_cast<std::size_t>(devices_), std::numeric_limits<float>::quiet_NaN());
  const auto from = values.begin() + begins_[static_cast<std::size_t>(pool)] + first;
  std::fill(from, from + devices, static_cast<float>(value));
}

std::vector<DeviceField> DeviceFields::encoded() const {
  std::vector<DeviceField> fields;
  for (const Metric& quantity : device_quantity_registry()) {
    const auto found = values_.find(std::string(quantity.name));
    if (found != values_.end()) fields.push_back({found->first, encode_field(found->second)});
  }
  return fields;
}

}  // namespace lindos::sim
