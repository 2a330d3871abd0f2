// SPDX-License-Identifier: Apache-2.0
// What a measured run says about single GPUs: mean power and highest temperature of each over all repeats, by the samples
// of the machine that drove the run. Its GPUs are taken for the first ones of the pool that the plan's first rank lies in; what
// runs on other machines was not sampled and has no value.
#pragma once

#include <optional>

#include "scenarios/device_map.h"
#include "scenarios/run_samples.h"
#include "scenarios/scenario.h"

namespace lindos {

// Nothing where no GPU was sampled. REQUIRES: the plan is of this cluster.
[[nodiscard]] std::optional<DeviceMap> measured_device_map(const Scenario& scenario, const RunSamples& samples);

}  // namespace lindos
