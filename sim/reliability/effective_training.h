// SPDX-License-Identifier: Apache-2.0
// How much of its wall time a training job keeps: Monte Carlo over long runs with failures, spares
// and repairs, beside the closed form that knows neither spares nor the spread of rates. Shares are
// of wall time × replicas; multiply a step's ledger by `productive` and book the others as
// checkpoint_io, lost_work, restart and spare.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scenarios/units.h"
#include "sim/reliability/goodput.h"
#include "sim/reliability/reliability_input.h"

namespace lindos::sim {

struct ClassInterruptions {
  std::string name;
  double expected = 0.0;   // per run, at nominal rates and with all nodes
  double simulated = 0.0;  // mean over the draws
};

struct PoolRepairs {
  std::string pool;
  std::int64_t spares = 0;
  double mean_out = 0.0;     // nodes in repair
  std::int64_t p99_out = 0;  // as many spares would do 99 % of the time
};

struct EffectiveTraining {
  Seconds mtbi{0};      // mean time between interruptions, nominal rates; infinite: nothing fails
  Seconds outage{0};    // detection to warm-up
  Seconds interval{0};  // between saves, in whole steps, as used
  Seconds young{0};     // the classic optima for the same blocking and mtbi; 0 when nothing fails
  Seconds daly{0};
  TimeShares closed;  // exact form at nominal rates, nodes always at hand
  std::vector<TimeShares> draws;
  TimeShares mean;   // over the draws
  double p10 = 0.0;  // of the productive share, the effective training time ratio
  double p50 = 0.0;
  double p90 = 0.0;
  std::vector<ClassInterruptions> classes;  // in the order of the scenario; one entry per name
  std::vector<PoolRepairs> repairs;
};

// REQUIRES: draws >= 1, the input as from make_reliability_input. Equal arguments give equal
// results.
[[nodiscard]] EffectiveTraining effective_training(const ReliabilityInput& input, int draws,
                                                   std::uint64_t seed);

}  // namespace lindos::sim
