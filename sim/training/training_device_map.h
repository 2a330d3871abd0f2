// SPDX-License-Identifier: Apache-2.0
// What the draws of a training job say about single devices: where each stage sits, whom every drawn step waited for, and
// quantities per device for the draw whose step time is the median. As far as devices are drawn one by one: the slowest of
// those that a stage has in a node (sim/training/straggler_draws.h). The closed rung draws no device, so its map has
// utilisation and limits only. Devices that the job does not take have no value.
#pragma once

#include "scenarios/device_map.h"
#include "scenarios/scenario.h"
#include "sim/training/training_run.h"

namespace lindos::sim {

// `drawn` = draw_training(run, scenario, options).
[[nodiscard]] DeviceMap training_device_map(const Scenario& scenario, const TrainingRun& run, const TrainingDraws& drawn,
                                            const DrawOptions& options);

}  // namespace lindos::sim
