// SPDX-License-Identifier: Apache-2.0
// Changes that a planner can make to a training job, priced as the job itself is: paired draws with and without
// the change, what it costs, and the scenario with the plan that does it. Nothing here is tuned to a scenario: the same list is
// tried on every one, and what does not apply says why.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/plan.h"
#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/training/restore.h"
#include "sim/training/training_run.h"

namespace lindos::sim {

struct Mitigation {
  std::string name;           // "uneven-micro-batches"; of the files as well
  std::string what;           // one sentence
  std::string cost;           // what it takes, in words and numbers
  std::string refused;        // why it cannot be done here; empty: it can, and the rest is filled
  Gain gain;                  // points of the useful share of the whole run
  Gain steady_gain;           // of a running step
  double mfu = 0.0;           // median after the change
  double steady_mfu = 0.0;
  std::vector<Scenario> scenarios;  // what to run instead, plan included: several jobs for one-job-per-kind
};

// In order of gain, refused ones last. `profiles_by_device` as for make_training_run.
[[nodiscard]] std::vector<Mitigation> price_mitigations(
    const Scenario& scenario, const std::map<std::string, Profile>& profiles_by_device,
    const TrainingDraws& base, const DrawOptions& options);

}  // namespace lindos::sim
