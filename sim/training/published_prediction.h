// SPDX-License-Identifier: Apache-2.0
// The step time that the closed rung predicts for a published row's scenario, with the interval that the
// errors on rows of sources left out of the fit leave open.
#pragma once

#include "scenarios/scenario.h"
#include "scenarios/units.h"

namespace lindos::sim {

struct PredictedStep {
  Seconds step{0};
  Seconds low{0};   // 80 % of measurements lie between low and high
  Seconds high{0};
};

// Whether a rank's memory suffices is not asked: the row ran, if need be with activations on the host.
// Throws Error{kInfeasible} when stages have no link to each other. REQUIRES a training scenario with a
// valid plan.
[[nodiscard]] PredictedStep predict_step(const Scenario& scenario);

}  // namespace lindos::sim
