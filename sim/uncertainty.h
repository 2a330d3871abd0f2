// SPDX-License-Identifier: Apache-2.0
// Systematic uncertainty of a run as draws: one log-normal time factor per device type and operator
// family, fixed for the whole run, because one kernel's error repeats in every layer and step
// (modelling handbook §9), and one per device type for the machine as a whole, whose bandwidth drifts
// from second to second (composition.h). sigma² of a family = (spread of the repeats)² +
// (time-weighted error of the tiers that priced the run)².
#pragma once

#include <cstdint>
#include <vector>

#include "sim/replica_model.h"
#include "sim/stage_work.h"

namespace lindos::sim {

// Error of the tiers that priced a family, weighted by their time; 0 when it took none.
[[nodiscard]] double tier_sigma(const WorkTotals& totals, Family family);
// sigma of log(time) per device type and family, given where the run's time was priced.
[[nodiscard]] std::vector<Factors> systematic_sigmas(const ReplicaModel& replica,
                                                     const WorkTotals& totals);
// Draw number `index`: a pure function of its arguments, equal on every platform up to the math
// library.
[[nodiscard]] Draw draw_factors(const std::vector<Factors>& sigmas, std::uint64_t seed,
                                std::uint32_t index);

}  // namespace lindos::sim
