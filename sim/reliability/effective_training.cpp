// SPDX-License-Identifier: Apache-2.0
#include "sim/reliability/effective_training.h"

#include <algorithm>
#include <cmath>

#include "scenarios/error.h"
#include "scenarios/timeline.h"
#include "sim/reliability/long_run.h"

namespace lindos::sim {
namespace {

constexpr double kSpareCover = 0.99;  // modelling handbook §6.3: hold the p99 count

TimeShares mean_of(const std::vector<TimeShares>& draws) {
  TimeShares sum;
  for (const TimeShares& draw : draws) {
    sum.productive += draw.productive;
    sum.checkpoint_io += draw.checkpoint_io;
    sum.lost_work += draw.lost_work;
    sum.restart += draw.restart;
    sum.waiting += draw.waiting;
  }
  const auto n = static_cast<double>(draws.size());
  return {sum.productive / n, sum.checkpoint_io / n, sum.lost_work / n, sum.restart / n,
          sum.waiting / n};
}

// The entry of the source's class; the same name in other pools is the same class.
ClassInterruptions& entry_of(std::vector<ClassInterruptions>& classes, const std::string& name) {
  const auto found = std::find_if(classes.begin(), classes.end(),
                                  [&](const ClassInterruptions& c) { return c.name == name; });
  return found == classes.end() ? classes.emplace_back(ClassInterruptions{name, 0.0, 0.0}) : *found;
}

}  // namespace

EffectiveTraining effective_training(const ReliabilityInput& input, int draws, std::uint64_t seed) {
  LINDOS_ASSERT(draws >= 1, "an interval needs at least one draw");
  EffectiveTraining result;
  const RenewalCycle cycle = renewal_cycle(input);
  result.mtbi = cycle.mtbi;
  result.outage = cycle.restart;
  result.interval = cycle.interval;
  if (std::isfinite(cycle.mtbi.count())) {
    result.young = young_interval(cycle.blocking, cycle.mtbi);
    result.daly = daly_interval(cycle.blocking, cycle.mtbi);
  }
  result.closed = closed_shares(cycle);

  const std::vector<FailureSource>& sources = input.process.sources;
  for (const FailureSource& source : sources) {
    entry_of(result.classes, source.name).expected +=
        interruption_rate(input.process, source).value() * input.horizon.count();
  }
  std::vector<double> ratios;
  for (int d = 0; d < draws; ++d) {
    const LongRun run =
        simulate_long_run(input, cycle.interval, seed, static_cast<std::uint32_t>(d));
    result.draws.push_back(run.shares);
    ratios.push_back(run.shares.productive);
    for (std::size_t s = 0; s < sources.size(); ++s) {
      entry_of(result.classes, sources[s].name).simulated +=
          static_cast<double>(run.interruptions[s]) / draws;
    }
  }
  result.mean = mean_of(result.draws);
  result.p10 = quantile(ratios, 0.1);
  result.p50 = quantile(ratios, 0.5);
  result.p90 = quantile(ratios, 0.9);
  for (std::size_t p = 0; p < input.process.pools.size(); ++p) {
    const PoolNodes& pool = input.process.pools[p];
    result.repairs.push_back({pool.name, pool.spares, mean_nodes_out(input.process, p),
                              nodes_out_quantile(input.process, p, kSpareCover)});
  }
  return result;
}

}  // namespace lindos::sim
