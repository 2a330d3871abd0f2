// SPDX-License-Identifier: Apache-2.0
#include "sim/training/simgrid_training.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>
#include <vector>

#include "scenarios/error.h"
#include "sim/fleet_platform.h"
#include "sim/fleet_topology.h"
#include "sim/isolated.h"
#include "sim/training/exchange_actors.h"
#include "sim/training/exchange_rings.h"
#include "sim/training/maxplus_training.h"
#include "sim/training/pass_actors.h"
#include "sim/training/pass_messages.h"
#include "sim/training/placement.h"

namespace lindos::sim {

namespace {

// What the child process finds out: end of the last exchange, and whose.
struct Exchanged {
  double end = 0.0;
  std::size_t ring = 0;
};
static_assert(std::is_trivially_copyable_v<Exchanged>);

// `stage_ends` as from MaxplusTraining: one replica of a group stands for all where the draw is
// nominal.
Exchanged simulate(const TrainingJob& job, const Cluster& cluster,
                   const std::map<std::string, Device>& devices, const StepDraw& draw,
                   const std::vector<std::vector<double>>& stage_ends,
                   const SimgridOptions& options) {
  const FleetTopology fleet(cluster, devices);
  const Placement placement(job, fleet);
  const std::vector<ExchangeRing> rings = exchange_rings(job, placement, draw);
  const std::vector<bool> contended = contended_pools(job, placement, rings);

  FleetPlatform platform(fleet, placement.bundles(job), contended);
  ExchangeActors exchange(rings, platform);
  PassActors passes(job, placement, draw, platform,
                    [&](std::size_t stage) { exchange.ended(ring_of(stage, rings.size())); });
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const std::size_t stages = job.groups[g].stages.size();
    const std::vector<bool> meets_others = contended_replicas(contended, job, placement, g);
    for (std::int64_t r = 0; r < job.groups[g].replicas; ++r) {
      const bool detailed = options.every_pass || meets_others[static_cast<std::size_t>(r)];
      if (detailed) passes.add(g, r);
      for (std::size_t s = 0; s < stages; ++s) {
        const Seconds end(
            stage_ends[g][(static_cast<std::size_t>(r) * stages + s) % stage_ends[g].size()]);
        const std::size_t ring = ring_of(s, rings.size());
        if (detailed) {
          exchange.add_awaited(ring, end);
        } else {
          exchange.add_known(ring, end);
        }
      }
    }
  }
  exchange.start();
  platform.run();

  Exchanged last;
  for (std::size_t k = 0; k < rings.size(); ++k) {
    // SimGrid returns from a deadlock as from an end.
    if (!exchange.has_ended(k)) {
      throw Error(ErrorKind::kEnvironment, "simulation process",
                  "the exchange of stage " + std::to_string(k) + " never ended");
    }
    if (exchange.end(k).count() > last.end) last = {exchange.end(k).count(), k};
  }
  return last;
}

}  // namespace

StepOutcome simgrid_step(const TrainingJob& job, const Cluster& cluster,
                         const std::map<std::string, Device>& devices, const StepDraw& draw,
                         const SimgridOptions& options) {
  const MaxplusTraining maxplus(job);
  const std::vector<std::vector<double>> stage_ends = maxplus.stage_ends(draw);
  const std::string bytes = run_isolated([&] {
    const Exchanged last = simulate(job, cluster, devices, draw, stage_ends, options);
    return std::string(reinterpret_cast<const char*>(&last), sizeof last);
  }, options.cancelled);
  Exchanged last;
  LINDOS_ASSERT(bytes.size() == sizeof last, "the child reports one value");
  std::memcpy(&last, bytes.data(), sizeof last);

  StepOutcome outcome;
  outcome.step = Seconds(last.end) + job.longest_optimizer();
  outcome.gate = gate_of(job, stage_ends, draw, last.ring);
  const Seconds alone = step_tail(job, stage_ends, draw).step;
  outcome.ledger = book_step(job, maxplus.nominal(), draw, outcome.step,
                             std::max(Seconds{0}, outcome.step - alone));
  return outcome;
}

}  // namespace lindos::sim
