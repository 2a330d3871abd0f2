// SPDX-License-Identifier: Apache-2.0
// Simulates shapes request by request, and says how far a load may be off. Each shape and limit is simulated once, on as many
// threads as there are cores. At fidelity closed screening stands as it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sim/planner/chosen_replicas.h"
#include "sim/planner/serving_screen.h"
#include "sim/planner/serving_task.h"

namespace lindos::sim {

class ServingVerification {
 public:
  explicit ServingVerification(const ServingTask& task) : task_(task) {}

  struct Check {
    PricedShape* shape;
    std::size_t step;
  };

  // Simulates what has not been yet, on as many threads as there are cores. REQUIRES: of each shape the loosest limit alone, or
  void verify(std::vector<Check> checks, double from = 0.0, double to = 0.0);
  void verify(const std::vector<Chosen>& chosen);
  // Replicas simulated so far.
  [[nodiscard]] std::int64_t verified() const { return verified_; }

  // Load of a shape by draw, as screened, relative to its centre: what one kernel price off by a factor does.
  // Under the strictest promises, at a limit of each device.
  [[nodiscard]] std::vector<double> drawn_ratios(PricedShape& shape, Watts limit) const;
  // The same under another promise.
  [[nodiscard]] std::vector<double> drawn_ratios(PricedShape& shape, Watts limit, const Slo& promise) const;

 private:
  void verify_one(PricedShape& shape, std::size_t step) const;
  [[nodiscard]] BorneLoad simulated(ServingGroup& group, double guess) const;
  // Host memory for KV is taken where it brings something.
  void prefer_no_offload(PricedShape& shape) const;
  // Where the prices of a shape come from: those of its run, or of a step of its decodes and one of a prompt.
  [[nodiscard]] WorkTotals totals_of(PricedShape& shape) const;
  void find_sigmas(PricedShape& shape) const;

  const ServingTask& task_;
  std::int64_t verified_ = 0;
};

}  // namespace lindos::sim
