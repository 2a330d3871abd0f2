// SPDX-License-Identifier: Apache-2.0
// One synchronous step as a timeline: the draw with the median step time, and of its replicas the
// one that the step waits for and a typical one of each group. Passes as the max-plus recursion
// times them; what follows them (waiting, exposed exchange, optimizer) as step_tail() has it, so
// that every lane ends with the step of the record's draw.
#pragma once

#include "scenarios/run_timeline.h"
#include "scenarios/scenario.h"
#include "sim/training/training_run.h"

namespace lindos::sim {

// `drawn` = draw_training(run, scenario, options). REQUIRES: not the closed rung, which has no
// passes. The caller fills profile_digest.
[[nodiscard]] RunTimeline training_timeline(const Scenario& scenario, const TrainingRun& run,
                                            const TrainingDraws& drawn, const DrawOptions& options);

}  // namespace lindos::sim
