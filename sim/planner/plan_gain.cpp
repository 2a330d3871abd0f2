// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/plan_gain.h"

#include <cstddef>

#include "scenarios/timeline.h"

namespace lindos::sim {

std::optional<PlanGain> gain_over(const std::string& baseline, const std::vector<double>& before,
                                  const std::vector<double>& after) {
  if (before.empty() || quantile(before, 0.5) <= 0.0) return std::nullopt;
  std::vector<double> ratios;
  for (std::size_t d = 0; d < after.size(); ++d) ratios.push_back(before[d] > 0.0 ? after[d] / before[d] - 1.0 : 0.0);
  return PlanGain{baseline, quantile(ratios, 0.1), quantile(ratios, 0.5), quantile(ratios, 0.9)};
}

}  // namespace lindos::sim
