// SPDX-License-Identifier: Apache-2.0
// Power of the site over time, from the steps of the simulated replicas of a serving fleet: nodes at rest, what the
// devices of the plan add while they work, and what their hosts add meanwhile; with cooling and losses, as the meter reads
// it. Each simulated replica stands for as many as in fleet_outcome.h. Prefill and decode are what their steps draw.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "scenarios/run_samples.h"
#include "scenarios/scenario.h"
#include "sim/fleet.h"
#include "sim/fleet_outcome.h"

namespace lindos::sim {

class FleetPower {
 public:
  // Nothing where the power of a device of the plan is not known, or no replica has a series (the closed rung).
  [[nodiscard]] static std::optional<FleetPower> of(const Scenario& scenario, const Fleet& fleet,
                                                    const std::vector<ReplicaOutcome>& replicas);

  // At the meter, over the run or in the slice that draws most, where work costs exp(sigmas × sigma) as much energy.
  // No slice is above what the devices' limits allow, and so none above the site's cap.
  [[nodiscard]] Watts mean(double sigmas) const;
  [[nodiscard]] Watts peak(double sigmas) const;
  // Of the site and each pool at the meter: mean and peak of some slices together, at most kMostPoints; the site's cap and
  // the limit of a pool's devices where there are any.
  static constexpr std::size_t kMostPoints = 240;
  [[nodiscard]] RunSamples samples() const;

 private:
  struct PoolSlices {
    std::string name;
    Watts at_rest{0};             // all nodes
    Watts most{0};                // that its devices may add
    Watts limit{0};               // of one device, the highest that a group has there; 0: its own
    std::vector<Watts> devices;   // [slice], added to at_rest
    std::vector<Watts> hosts;     // the same
  };
  FleetPower() = default;
  [[nodiscard]] Watts pool_at(const PoolSlices& pool, std::size_t slice, double factor) const;
  [[nodiscard]] Watts site_at(std::size_t slice, double factor) const;

  std::vector<PoolSlices> pools_;
  double pue_ = 1.0;
  double sigma_ = 0.0;
  Watts cap_{0};
  Seconds end_{0};
  Seconds slice_{0};
  std::size_t slices_ = 0;
};

}  // namespace lindos::sim
