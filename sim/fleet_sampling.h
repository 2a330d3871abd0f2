// SPDX-License-Identifier: Apache-2.0
// Which part of a fleet is simulated request by request, and how far the rest may differ from it. Where routing looks
// at no load, replicas are served one by one (replica_sampling.cpp); where it does, all replicas behind a router are
// served side by side (cell_sampling.cpp), and where admission limits do, too.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "scenarios/scenario.h"
#include "sim/fleet.h"
#include "sim/fleet_outcome.h"
#include "sim/fleet_runner.h"
#include "sim/predict.h"
#include "sim/stage_work.h"

namespace lindos::sim {

struct SampleOutcome {
  std::vector<ReplicaOutcome> replicas;
  std::vector<double> requests;  // [group], those of replicas that are not simulated among them
  GoodputEstimate goodput;
  std::vector<GoodputEstimate> tenants;  // goodput of each tenant's requests
};

class FleetSampling {
 public:
  FleetSampling() = default;
  FleetSampling(const FleetSampling&) = delete;
  FleetSampling& operator=(const FleetSampling&) = delete;
  virtual ~FleetSampling() = default;

  // Simulates more and more until the interval of goodput is as narrow as asked or the sample is used up.
  [[nodiscard]] virtual SampleOutcome serve(FleetRunner& runner) = 0;
  // The beginning of a few of those replicas on the max-plus rung, for each draw; draws are given as [draw][group].
  // Replicas of a group differ little, so that a few carry the relative spread.
  [[nodiscard]] virtual std::vector<SampleOutcome> replay(FleetRunner& runner,
                                                          const std::vector<std::vector<Draw>>& draws,
                                                          const std::function<void(double)>& progress) = 0;
  // [group]: the requests of one simulated replica that has some, in order of arrival; empty where none has.
  [[nodiscard]] virtual std::vector<std::vector<RequestSpec>> one_replica_each(FleetRunner& runner) const = 0;
};

// Whether the interval is as narrow as asked; never where all is to be simulated.
[[nodiscard]] bool is_narrow(const GoodputEstimate& estimate, const PredictOptions& options);

// The requests at the beginning that a draw replays of so many replicas together: the spread of a long run is that of
// its beginning.
[[nodiscard]] std::vector<RequestSpec> beginning_of(const std::vector<RequestSpec>& requests, double replicas);

// All are borrowed. Throws Error{kInput} where no request arrives or a router's replicas cannot serve.
[[nodiscard]] std::unique_ptr<FleetSampling> sample_fleet(const Scenario& scenario, const Fleet& fleet,
                                                          const PredictOptions& options);

}  // namespace lindos::sim
