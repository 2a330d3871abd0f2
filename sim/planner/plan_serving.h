// SPDX-License-Identifier: Apache-2.0
// Which replicas of what on each pool of a serving fleet, in which role and under which power limit, so that most requests
// keep the promises under the site's power:
//
//   shapes ─ screen_shapes ─▶ load per replica by limit ─ borne_load ─▶ corrected ─ allocate (MILP) ─▶ ranked plans
//
// Replicas wait for nobody, so pools share only the power and the stream of requests; those that only compute prompts and
// those that only decode share a stream as well. docs/planning.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/profile.h"
#include "scenarios/scenario.h"
#include "sim/planner/plan_gain.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_point.h"
#include "sim/planner/serving_screen.h"
#include "sim/predict.h"

namespace lindos::sim {

enum class ServingObjective {
  kGoodput,   // requests per second that keep the promises, at most
  kPower,     // their output tokens per second and megawatt at the meter, for at least the scenario's rate
  kCost,      // their output tokens per dollar, for at least the scenario's rate
};
inline constexpr ServingObjective kServingObjectives[] = {ServingObjective::kGoodput, ServingObjective::kPower,
                                                          ServingObjective::kCost};
[[nodiscard]] const char* name_of(ServingObjective objective);   // "goodput", "power", "cost"

// What fails together.
enum class LostUnit { kNothing, kNode, kRack };
inline constexpr LostUnit kLostUnits[] = {LostUnit::kNothing, LostUnit::kNode, LostUnit::kRack};
[[nodiscard]] const char* name_of(LostUnit unit);  // "nothing", "node", "rack"

struct ServingQuestion {
  ServingObjective objective = ServingObjective::kGoodput;
  std::vector<std::string> pools;   // that may be used; empty: all
  std::vector<Dtype> dtypes;        // of weights; empty: the scenario's plan's
  bool apart = true;                // prompts may be computed apart from decodes
  LostUnit survives = LostUnit::kNothing;  // the load that counts is what is left without the worst one
  int top = 3;
  // Fidelity closed: screening stands as it is; else every shape that a plan uses is simulated request by request.
  PredictOptions predict;
};

// One group of a plan.
struct ServingPart {
  ServingShape shape;
  std::string name;                 // of the group
  std::string what;                 // "TP8 bf16, steps of 8192 tokens"
  std::int64_t replicas = 0;
  Watts device_limit{0};            // that each device enforces
  bool limited = false;             // it is below the device's own maximum
  double screened_rate = 0.0;       // requests per second and replica
  double rate = 0.0;                // after verification
  Seconds ttft{0};                  // median at that load, of the verification; else as screened
  Seconds tpot{0};
};

// Requests per second with the interval of the draws.
struct DrawnRate {
  double rate = 0.0;
  double p10 = 0.0;
  double p90 = 0.0;
};

struct PlannedServing {
  std::string name;
  Scenario scenario;                // with the plan
  std::vector<ServingPart> parts;
  double requests_per_s = 0.0;      // that keep the promises, with all of the fleet or what survives (ServingQuestion)
  // The same without the node, and without the rack, whose loss costs most. Of a few devices it is not said.
  std::optional<DrawnRate> without_node;
  std::optional<DrawnRate> without_rack;
  double without_site_cap = 0.0;    // the same of these shapes if the site had no cap; 0: the cap holds no device back
  double p10 = 0.0;
  double p90 = 0.0;
  double tokens_per_s = 0.0;        // output
  Watts power{0};                   // at the meter, every device at its limit: no instant is above it
  DollarsPerSecond cost{0};         // of the plan's devices and the site's energy at that power; 0: a price is not known
  double objective = 0.0;           // more is better
  std::vector<double> drawn;        // requests_per_s of each draw
  std::vector<PlanGain> gains;      // of the objective
};

// At this pace for a user the fleet gives so many tokens per second and device: of each pool and role the shape that bears
// most load per device, at the limits that devices and racks have.
struct ParetoPoint {
  double tokens_per_s_user = 0.0;
  double tokens_per_s_device = 0.0;
  double p10 = 0.0;                     // of tokens_per_s_device over the draws; the other figures go with it
  double p90 = 0.0;
  double tokens_per_s_megawatt = 0.0;   // at the meter
  double dollars_per_million = 0.0;     // tokens; 0: a price is not known
  std::string shapes;               // per pool
};

struct ServingAnswer {
  std::vector<PlannedServing> plans;      // best first
  std::string unit;                       // of their objectives
  std::vector<PlannedServing> baselines;
  std::vector<ParetoPoint> pareto;
  std::int64_t shapes = 0;          // looked at; of a few devices whole plans
  std::int64_t points = 0;          // shape, limit and load, priced for pace and first token
  std::int64_t plans_simulated = 0; // of a few devices: each with the scenario's own requests
  double screening_s = 0.0;         // wall time of that
  std::int64_t verified = 0;        // replicas simulated request by request
  Pruned pruned;
};

// Throws Error{kInfeasible} when no shape fits or keeps the promises, with what comes nearest; Error{kInput} for a
// training workload, promises that no rate could keep, an unknown pool; Error{kCancelled}.
[[nodiscard]] ServingAnswer plan_serving(const Scenario& scenario, const std::map<std::string, Profile>& profiles,
                                         const ServingQuestion& question);

}  // namespace lindos::sim
