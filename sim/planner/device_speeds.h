// SPDX-License-Identifier: Apache-2.0
// What work is dealt by among kinds of device.
#pragma once

#include <map>
#include <string>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"

namespace lindos::sim {

// Of one device: bytes per second, which bound decoding, and FLOP per second, which bound prompts; 0 where not known.
struct DeviceSpeeds {
  double reading = 0.0;
  double products = 0.0;
};
// Of a device of the pool with weights of this format: by its profile, else by the catalogue.
[[nodiscard]] DeviceSpeeds speeds_of(const Scenario& scenario, const Pool& pool, const std::map<std::string, Profile>& profiles,
                                     Dtype weights);

}  // namespace lindos::sim
