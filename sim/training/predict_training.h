// SPDX-License-Identifier: Apache-2.0
// Training scenario + device profiles → RunRecord{predicted}. Each draw is one possible run: kernels and
// links that are systematically faster or slower than priced, devices that deviate (stragglers), a month of
// failures. The step comes from the chosen rung, everything around it from sim/reliability; the ledger covers
// every device of the cluster over the whole run, from the peak down to the useful share.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"
#include "sim/predict.h"
#include "sim/training/mitigations.h"
#include "sim/training/restore.h"
#include "sim/training/training_run.h"

namespace lindos::sim {

// Throws as predict().
[[nodiscard]] RunRecord predict_training(const Scenario& scenario,
                                         const std::map<std::string, Profile>& profiles_by_device,
                                         const PredictOptions& options);

// The record of draws that are there already.
[[nodiscard]] RunRecord training_record(const Scenario& scenario, const TrainingRun& run, const TrainingDraws& drawn,
                                        const DrawOptions& options);

// The record with what each cause costs and what would recover it, all from the same draws.
struct Explanation {
  RunRecord record;
  std::vector<Restored> restored;
  std::vector<Mitigation> mitigations;
};
// Throws as predict(); Error{kInput} for a serving workload.
[[nodiscard]] Explanation explain_training(const Scenario& scenario,
                                           const std::map<std::string, Profile>& profiles_by_device,
                                           const PredictOptions& options);

}  // namespace lindos::sim
