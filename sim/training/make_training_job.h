// SPDX-License-Identifier: Apache-2.0
// Scenario + device profiles → TrainingJob: every op of every stage priced once, by the same OperatorCost
// that prices serving. Replicas take consecutive devices of their pool, stages follow each other inside a
// replica, and a stage's tensor ranks are neighbours, then its context ranks.
#pragma once

#include <map>
#include <string>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/training/training_job.h"

namespace lindos::sim {

// `profiles_by_device`: by catalogue name; a device without one is priced from its datasheet.
// Throws Error{kInfeasible} when a rank's memory does not suffice or stages have no link to each other,
// Error{kInput} for a device without ceilings, REQUIRES a training scenario with a valid plan.
[[nodiscard]] TrainingJob make_training_job(const Scenario& scenario,
                                            const std::map<std::string, Profile>& profiles_by_device);

// Memory of the fullest rank of the plan. Throws Error{kInfeasible} with the arithmetic when it does not fit.
[[nodiscard]] Bytes fullest_training_rank(const Scenario& scenario);

}  // namespace lindos::sim
