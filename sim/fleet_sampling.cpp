// SPDX-License-Identifier: Apache-2.0
#include "sim/fleet_sampling.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/error.h"
#include "sim/cell_sampling.h"
#include "sim/replica_sampling.h"

namespace lindos::sim {

namespace {

// Output tokens of the requests that a draw replays of a replica, about as many as its steps.
constexpr double kDrawnTokens = 40'000.0;

}  // namespace

bool is_narrow(const GoodputEstimate& estimate, const PredictOptions& options) {
  return options.goodput_width > 0.0 &&
         2.0 * estimate.half_width <= options.goodput_width * estimate.goodput;
}

std::vector<RequestSpec> beginning_of(const std::vector<RequestSpec>& requests, double replicas) {
  double tokens = 0.0;
  std::size_t count = 0;
  while (count < requests.size() && tokens < kDrawnTokens * replicas)
    tokens += static_cast<double>(requests[count++].output_tokens);
  return {requests.begin(), requests.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::unique_ptr<FleetSampling> sample_fleet(const Scenario& scenario, const Fleet& fleet,
                                            const PredictOptions& options) {
  const bool apart = std::any_of(scenario.plan.groups.begin(), scenario.plan.groups.end(),
                                 [](const GroupPlan& g) { return g.role == Role::kPrefill; });
  if (apart && options.fidelity == Fidelity::kClosed) {
    throw Error(ErrorKind::kInput, "plan",
                "the closed form has no queue between prefill and decode; fidelity maxplus or simgrid has");
  }
  const bool side_by_side = apart || looks_at_load(scenario.plan.routing.policy) || scenario.plan.admission.any();
  return side_by_side ? sample_cells(scenario, fleet, options) : sample_replicas(scenario, fleet, options);
}

}  // namespace lindos::sim
