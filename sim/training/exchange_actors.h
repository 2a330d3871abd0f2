// SPDX-License-Identifier: Apache-2.0
// Gradient exchanges at event level: one actor per ring waits for its members, then lets one actor
// per node send and receive each phase's flows. A member ends its passes either at a time known
// beforehand or by telling so during the run. Must outlive the run of the platform.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "scenarios/units.h"
#include "sim/fleet_platform.h"
#include "sim/training/exchange_rings.h"

namespace lindos::sim {

class ExchangeActors {
 public:
  // The references must outlive it.
  ExchangeActors(const std::vector<ExchangeRing>& rings, const FleetPlatform& platform);
  ~ExchangeActors();
  ExchangeActors(const ExchangeActors&) = delete;
  ExchangeActors& operator=(const ExchangeActors&) = delete;

  // A member that ends its passes at this time, counted from the start of the step …
  void add_known(std::size_t ring, Seconds end);
  // … or is expected to, and will call ended().
  void add_awaited(std::size_t ring, Seconds expected);
  void ended(std::size_t ring);
  // Creates the actors. No member after this.
  void start();

  // After the run: whether and when the ring's exchange has ended.
  [[nodiscard]] bool has_ended(std::size_t ring) const;
  [[nodiscard]] Seconds end(std::size_t ring) const;

 private:
  struct Ring;

  void run(Ring& ring);
  void run_phase(Ring& ring, const ExchangePhase& phase);

  const FleetPlatform& platform_;
  std::vector<std::unique_ptr<Ring>> rings_;
};

}  // namespace lindos::sim
