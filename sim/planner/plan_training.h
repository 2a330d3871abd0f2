// SPDX-License-Identifier: Apache-2.0
// From "what happens with this plan" to "which plan", for a synchronous training job:
//
//   space ─ ShapeScreen, search_training ─▶ choices ─ whole plans, closed rung ─▶ short list ─ draws ─▶ ranked plans
//
// Named baselines go the same way from the closed rung on and share the random numbers of the draws, so that a gain
// over them is a paired comparison. docs/planning.md.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/run_record.h"
#include "scenarios/scenario.h"
#include "sim/planner/plan_gain.h"
#include "sim/planner/pruned.h"
#include "sim/planner/training_search.h"
#include "sim/predict.h"

namespace lindos::sim {

struct TrainingQuestion {
  TrainingObjective objective = TrainingObjective::kRun;
  std::vector<std::string> pools;      // that may be used; empty: all
  bool free_ways = true;               // recomputation and micro-batch size may differ from the scenario's
  std::int64_t most_batch = 0;         // sequences up to which the global batch may grow; 0: it stays
  int top = 3;
  PredictOptions predict;              // rung, draws and seed of the verification
};

struct PlannedTraining {
  std::string name;                    // of a baseline; else its shapes
  Scenario scenario;                   // with the plan; `changes` says where its workload differs
  std::string changes;                 // "recompute full, micro-batches of 2, batch of 9,000 sequences"; empty: nothing
  RunRecord record;
  Watts power{0};                      // at the meter, of the devices that the plan uses at their limits (plan_power)
  double objective = 0.0;              // median over the draws, in its unit (unit_of)
  std::vector<double> drawn;           // the objective of each draw
  double screened_step_s = 0.0;        // 0: was not screened
  double closed_step_s = 0.0;          // of the whole plan, no deviations
  std::vector<PlanGain> gains;         // over each baseline
};

struct TrainingAnswer {
  std::vector<PlannedTraining> plans;      // best first
  std::vector<PlannedTraining> baselines;  // the scenario's plan first, where it fits
  std::int64_t shapes = 0;                 // looked at
  std::int64_t priced = 0;                 // shapes with numbers of micro-batches
  std::int64_t whole_plans = 0;            // priced as plans
  double screening_error = 0.0;            // largest |screened / whole − 1| among these
  Pruned pruned;
};

// "token/s", "1", "token/s/MW": of the objective.
[[nodiscard]] const char* unit_of(TrainingObjective objective);

// Throws Error{kInfeasible} with the binding constraint and the nearest way out when no plan fits, Error{kInput} for
// a serving workload or a question that contradicts the scenario, Error{kCancelled}.
[[nodiscard]] TrainingAnswer plan_training(const Scenario& scenario, const std::map<std::string, Profile>& profiles,
                                           const TrainingQuestion& question);

}  // namespace lindos::sim
