// SPDX-License-Identifier: Apache-2.0
// A device map small enough to count by hand: two pools, 10 nodes of 4 and 3 nodes of 2 (46 devices); a job of two
// replicas with two stages of 4 devices on the first pool. Slowdown by node 1.00, 1.01, 1.02, 1.03; the second
// replica's second stage gates.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "scenarios/device_map.h"

namespace lindos::data {

inline DeviceMap sample_map() {
  DeviceMap map;
  map.pools = {{"a", "gpu-a", "GPU A", 4, 10, 2, 2, 4}, {"b", "gpu-b", "GPU B", 2, 3, 0, 0, 0}};
  map.stages = {{"train", 0, 0, 0, 4, 8, 2}, {"train", 1, 0, 4, 4, 8, 2}};
  constexpr float kNone = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> slowdown(46, kNone);
  std::vector<float> utilisation(46, kNone);
  for (std::size_t d = 0; d < 16; ++d) {
    slowdown[d] = 1.0F + 0.01F * static_cast<float>(d / 4);
    utilisation[d] = 0.5F - 0.1F * static_cast<float>(d / 8);
  }
  map.fields = {{"slowdown", encode_field(slowdown)}, {"utilisation", encode_field(utilisation)}};
  map.steps = {{0, 2.0, 1, 1}, {1, 2.5, 0, 0}, {2, 1.5, 1, 1}};
  map.shown = 0;
  return map;
}

}  // namespace lindos::data
