// SPDX-License-Identifier: Apache-2.0
// Replicas of shapes under the fleet's devices and power, best first: each choice of shapes is allocated (allocate.h), what it
// chose is simulated, and it is allocated anew.
#pragma once

#include <vector>

#include "sim/planner/chosen_replicas.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_short_list.h"
#include "sim/planner/serving_task.h"
#include "sim/planner/serving_verification.h"

namespace lindos::sim {

struct RankedServing {
  double objective = 0.0;             // 0: these shapes cannot serve what is asked for
  std::vector<PricedShape*> shapes;   // to choose from
  std::vector<Chosen> chosen;
};

class ServingRanking {
 public:
  ServingRanking(const ServingTask& task, ServingVerification& verification) : task_(task), verification_(verification) {}

  // The best replicas of these shapes under the power and the devices; requests by load. What a few replicas more of another
  // shape would bring is left out: a fleet that is simpler to run is worth it, and every router must see one of each.
  [[nodiscard]] std::vector<Chosen> allocated(std::vector<PricedShape*> shapes, bool site_cap = true) const;
  [[nodiscard]] RankedServing ranked(std::vector<PricedShape*> shapes) const;
  // All shapes together, which is the best there is, and one shape per pool for replicas that do both; each with all that do a
  // part of the work, if any do.
  [[nodiscard]] std::vector<RankedServing> all_ranked(const ServingShortList& kept, bool apart, Pruned& pruned) const;
  // Simulates the power limits that were chosen, and chooses again.
  void refine(RankedServing& plan);
  static void sort(std::vector<RankedServing>& plans);

 private:
  // The objective.
  [[nodiscard]] double worth(const std::vector<Chosen>& chosen) const;
  [[nodiscard]] std::vector<Chosen> solved(const std::vector<PricedShape*>& shapes, bool site_cap) const;

  const ServingTask& task_;
  ServingVerification& verification_;
};

}  // namespace lindos::sim
