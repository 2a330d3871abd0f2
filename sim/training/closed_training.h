// SPDX-License-Identifier: Apache-2.0
// The closed rung of training: formulas only, microseconds per plan, for use inside a search.
//   1F1B:        P = max over stages s of  Σ before s + m t_s + (waiting for the first gradient) + (waiting
//                for later stages while draining) + messages; (m + p − 1) t for equal stages
//   interleaved: P = m max_s t_s + (p − 1) t_c + messages, t_c of one chunk, forward and backward
//                (handbook §4.2)
// A message costs its path on the way in and out of the pipeline, and once per micro-batch between stages
// that wait for each other in the steady state. Stragglers enter as one expected slowdown of the slowest
// replica (handbook §5.3). Agreement with maxplus: docs/training.md.
#pragma once

#include "sim/training/step_ledger.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

[[nodiscard]] NominalStep closed_nominal(const TrainingJob& job);

// `slowdown`: expected stretch of the compute of the slowest replica, 1 = none.
[[nodiscard]] StepOutcome closed_step(const TrainingJob& job, double slowdown = 1.0);

}  // namespace lindos::sim
