// SPDX-License-Identifier: Apache-2.0
// A profile of a device nobody has probed: ceilings from the catalogue, no samples, so that every
// price of it carries the analytic tier. Source "modelled from the datasheet".
#pragma once

#include "scenarios/hardware.h"
#include "scenarios/profile.h"

namespace lindos::sim {

// matrix_rate is the dense peak of `dtype`, or of the widest format below it that the device
// states. Throws Error{kInput} when the device states no peak at all or no memory bandwidth.
[[nodiscard]] Profile datasheet_profile(const Device& device, Dtype dtype = Dtype::kBf16);

}  // namespace lindos::sim
