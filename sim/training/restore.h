// SPDX-License-Identifier: Apache-2.0
// What each cause of the ledger costs: the run drawn again with that cause alone made ideal, draw by draw with
// the same random numbers. Gains of different causes do not add up (two that hide each other), which is why
// the ledger books shares and this prices changes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/training/training_run.h"

namespace lindos::sim {

// Change of a share between paired draws, in the ledger's unit (0.01 = one point of utilisation).
struct Gain {
  double p10 = 0.0;
  double p50 = 0.0;
  double p90 = 0.0;
};
// REQUIRES: equally many draws of equal seed.
// `ledger`: &TrainingDraw::whole (the run) or &TrainingDraw::steady (a running step).
[[nodiscard]] Gain gain_of(const TrainingDraws& after, const TrainingDraws& before,
                           Ledger TrainingDraw::*ledger = &TrainingDraw::whole);

// Adds a job that runs beside `sum` on other devices of the cluster, draw by draw, over the same wall time. An
// empty `sum` becomes `other`.
void add_over_same_time(TrainingDraws& sum, const TrainingDraws& other);

struct Restored {
  std::string_view name;      // the ledger's name of the cause, or "failures" for all that failures cost
  std::string_view label;
  Gain gain;                  // of the useful share of the whole run
};

// Causes that cost anything in `base`, largest median gain first.
[[nodiscard]] std::vector<Restored> restore_causes(const TrainingRun& run, const Scenario& scenario,
                                                   const TrainingDraws& base, const DrawOptions& options);

}  // namespace lindos::sim
