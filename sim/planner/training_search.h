// SPDX-License-Identifier: Apache-2.0
// Screening of training plans: from a space to the plans worth pricing as a whole. Pools are independent of each other
// but for the batch, so that the shortest step over all shapes of all pools is found by one sweep over ends of
// pipelines: at each, every pool takes as many micro-batches as its best shape can by then. Exact under LayerPrices;
// what comes back is that optimum and what lies near it. Where replicas over two pools can shorten that step, replicas of
// one and of two pools are packed into the pools by an integer program at each end (allocate.h).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/pruned.h"
#include "sim/planner/training_space.h"

namespace lindos::sim {

// What the plans compete in. The first two have all pools at work; the others may leave devices out, but no plan may
// be slower than `floor`.
enum class TrainingObjective {
  kRun,       // tokens per second over the run, failures included
  kStep,      // tokens per second of a running step
  kMfu,       // utilisation of a running step on the devices that the plan uses
  kPower,     // tokens per second over the run and megawatt at the meter
};
[[nodiscard]] const char* name_of(TrainingObjective objective);  // "run", "step", "mfu", "power"

// A plan by its parts, before it is one.
struct TrainingChoice {
  TrainingWay way;
  std::vector<TrainingShape> shapes;         // one per pool in use; packed: any
  std::vector<std::int64_t> micro_batches;   // per replica, by shape
  std::vector<std::int64_t> packed;          // replicas by shape at most; empty: as many as the pool has room for
  std::int64_t sequences = 0;                // global batch
  double step_s = 0.0;                       // as screened
  double score = 0.0;                        // by the objective, higher is better, as screened
};

struct SearchLimits {
  double slowest_step_s = 0.0;   // of the scenario's own batch: slower plans are left out; 0: no limit
  std::size_t choices = 48;      // to return
  std::function<void(double done)> progress;
  std::function<bool()> cancelled;
};

struct SearchResult {
  std::vector<TrainingChoice> choices;   // best first
  std::int64_t shapes = 0;               // looked at
  std::int64_t plans = 0;                // shape and number of micro-batches, priced
  Pruned pruned;
  std::string nearest;                   // when nothing fits: the shape with the least overflow, and its arithmetic
  // Equal shapes and micro-batches on all pools, and each pool alone: by name the best of each, fastest first.
  std::map<std::string, std::vector<TrainingChoice>> baselines;
};

// REQUIRES a training scenario with a plan. Throws Error{kCancelled}.
[[nodiscard]] SearchResult search_training(const Scenario& scenario, const TrainingSpace& space,
                                           TrainingObjective objective,
                                           const std::map<std::string, Profile>& profiles,
                                           const SearchLimits& limits);

// What a choice is but for its chunks and numbers of micro-batches: plans of one kind hardly differ.
[[nodiscard]] std::string kind_of(const TrainingChoice& choice);

// The scenario with the choice as its plan, batch dealt out exactly. Nothing when whole replicas do not add up.
[[nodiscard]] std::optional<Scenario> scenario_of(const Scenario& scenario, const TrainingChoice& choice);

}  // namespace lindos::sim
