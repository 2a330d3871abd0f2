// SPDX-License-Identifier: Apache-2.0
// What a plan gains over a baseline. Plain value.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lindos::sim {

// The objective of a plan against that of a baseline, as a ratio less 1 over paired draws.
struct PlanGain {
  std::string baseline;
  double p10 = 0.0;
  double p50 = 0.0;
  double p90 = 0.0;
};

// REQUIRES: equally many draws of equal seed. A baseline that does nothing in a draw counts as no gain there; nothing for
// one that does nothing in the median: there is no gain over it to state.
[[nodiscard]] std::optional<PlanGain> gain_over(const std::string& baseline, const std::vector<double>& before,
                                                const std::vector<double>& after);

}  // namespace lindos::sim
