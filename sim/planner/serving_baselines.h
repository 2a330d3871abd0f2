// SPDX-License-Identifier: Apache-2.0
// What people do today, planned with the same shapes, prices and random numbers: named plans to compare with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "sim/planner/plan_serving.h"
#include "sim/planner/pruned.h"
#include "sim/planner/serving_ranking.h"
#include "sim/planner/serving_short_list.h"
#include "sim/planner/serving_task.h"
#include "sim/planner/serving_verification.h"

namespace lindos::sim {

class ServingBaselines {
 public:
  ServingBaselines(const ServingTask& task, std::vector<std::vector<PricedShape>>& shapes, ServingVerification& verification,
                   ServingRanking& ranking, Pruned& pruned)
      : task_(task), shapes_(shapes), verification_(verification), ranking_(ranking), pruned_(pruned) {}

  // `best`: the best plan; where it has prompts and decodes apart, the best one without is a baseline as well.
  [[nodiscard]] std::vector<PlannedServing> all(const ServingShortList& kept, const PlannedServing& best);

 private:
  // Where the site's cap binds, without a planner every device gives way alike: the largest common share of dynamic power
  // that keeps it.
  void add_baseline(const std::string& name, std::vector<Chosen> chosen);
  // As the scenario states it, with its routing weights.
  void add_own();
  // One configuration for all pools, requests in turn: every replica gets the same load whatever it can bear.
  void add_uniform();
  void add_alone(std::size_t pool);
  void add(const std::string& name, const std::vector<Chosen>& chosen);

  const ServingTask& task_;
  std::vector<std::vector<PricedShape>>& shapes_;   // [pool of the cluster]
  ServingVerification& verification_;
  ServingRanking& ranking_;
  Pruned& pruned_;
  std::vector<std::unique_ptr<PricedShape>> own_;   // of the scenario's plan
  std::vector<PlannedServing> baselines_;
};

}  // namespace lindos::sim
