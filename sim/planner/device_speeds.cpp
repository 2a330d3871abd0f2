// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/device_speeds.h"

#include "scenarios/ceilings.h"

namespace lindos::sim {

DeviceSpeeds speeds_of(const Scenario& scenario, const Pool& pool, const std::map<std::string, Profile>& profiles,
                       Dtype weights) {
  const Device& device = scenario.devices.at(pool.node.device);
  const auto profile = profiles.find(device.name);
  if (profile != profiles.end())
    return {profile->second.read_bandwidth.value(), matrix_rate_of(profile->second, weights).value()};
  const auto peak = device.peak.find(weights);
  return {device.memory_bandwidth.value(), peak == device.peak.end() ? 0.0 : peak->second.value()};
}

}  // namespace lindos::sim
