// SPDX-License-Identifier: Apache-2.0
#include "sim/training/training_run.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "scenarios/error.h"
#include "scenarios/philox.h"
#include "scenarios/timeline.h"
#include "sim/datasheet.h"
#include "sim/training/closed_training.h"
#include "sim/training/make_training_job.h"
#include "sim/training/maxplus_training.h"
#include "sim/training/simgrid_training.h"

namespace lindos::sim {

namespace {

// Counter word that keeps these draws apart from those of stragglers and failures.
constexpr std::uint32_t kPriceStream = 0x70726963;
// Interruptions and repairs are cheap to draw, and their spread is wide.
constexpr int kLeastReliabilityDraws = 100;

// The steady step's devices over the wall time of the run, and the rest of the cluster beside them.
Ledger whole_run(const Ledger& steady, const TimeShares& shares, const TrainingRun& run) {
  Ledger whole;
  const auto book = [&](Cause cause, double amount) {
    if (amount > 0.0) whole.book(cause, Seconds(amount), FlopPerSecond(1.0));
  };
  for (std::size_t i = 0; i < kCauseCount; ++i) {
    const auto cause = static_cast<Cause>(i);
    book(cause, steady.amount(cause) * shares.productive);
  }
  const double job = steady.capacity_flop();
  book(Cause::kCheckpointIo, job * shares.checkpoint_io);
  book(Cause::kLostWork, job * shares.lost_work);
  book(Cause::kRestart, job * (shares.restart + shares.waiting));
  const double second = job / run.job.peak().value();  // wall time that this capacity stands for
  book(Cause::kSpare, run.spare_peak.value() * second);
  book(Cause::kNotAllocated, run.idle_peak.value() * second);
  return whole;
}

// Steps of one draw; the ledger of the run follows when its failures are known.
TrainingDraw step_of(const TrainingRun& run, const StragglerModel& stragglers, const DrawOptions& options,
                     std::uint32_t index, double contention) {
  const TrainingJob job = priced_otherwise(run.job, options.seed, index);
  StepOutcome outcome;
  if (options.fidelity == Fidelity::kClosed) {
    outcome = closed_step(job, stragglers.expected_slowdown());
  } else {
    const MaxplusTraining training(job);
    const StepDraw draw = stragglers.draw(options.seed, index);
    outcome = training.step(draw, contention);
  }
  return {outcome.step, outcome.gate, std::move(outcome.ledger), {}, 0.0};
}

FlopPerSecond peak_of(const Scenario& scenario, const Pool& pool) {
  // The format that the job computes in; any group's, since a synchronous job has one.
  return datasheet_profile(scenario.devices.at(pool.node.device), scenario.plan.groups.front().weight_dtype)
      .matrix_rate;
}

double median_step(const std::vector<TrainingDraw>& draws) {
  std::vector<double> steps;
  for (const TrainingDraw& draw : draws) steps.push_back(draw.step.count());
  return quantile(steps, 0.5);
}

}  // namespace

std::int64_t median_draw(const std::vector<TrainingDraw>& draws) {
  std::vector<std::int64_t> order(draws.size());
  std::iota(order.begin(), order.end(), 0);
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>((order.size() - 1) / 2);
  std::nth_element(order.begin(), middle, order.end(), [&](std::int64_t a, std::int64_t b) {
    const double step_a = draws[static_cast<std::size_t>(a)].step.count();
    const double step_b = draws[static_cast<std::size_t>(b)].step.count();
    return step_a != step_b ? step_a < step_b : a < b;
  });
  return *middle;
}

// Kernels of one device type are off by one factor for the whole run, links by another: a kernel's error
// repeats in every layer and step (modelling handbook §9).
TrainingJob priced_otherwise(const TrainingJob& job, std::uint64_t seed, std::uint32_t draw) {
  TrainingJob drawn = job;
  for (std::size_t g = 0; g < drawn.groups.size(); ++g) {
    GroupJob& group = drawn.groups[g];
    const PhiloxCounter bits =
        philox({kPriceStream, draw, static_cast<std::uint32_t>(g), 0}, philox_key(seed));
    const auto [kernel_z, link_z] = normal_pair(bits[0], bits[1]);
    const double kernels = std::exp(group.kernel_sigma * kernel_z);
    const double links = std::exp(group.link_sigma * link_z);
    for (StageJob& stage : group.stages) {
      for (ChunkWork& chunk : stage.chunks) {
        chunk.forward = chunk.forward.stretched(kernels, links);
        chunk.backward = chunk.backward.stretched(kernels, links);
      }
      stage.optimizer = stage.optimizer.stretched(kernels, links);
      stage.next.alpha *= links;
      stage.next.bandwidth = stage.next.bandwidth / links;
      stage.exchange.reduce_time *= links;
      stage.exchange.gather_time *= links;
    }
  }
  return drawn;
}

TrainingRun make_training_run(const Scenario& scenario,
                              const std::map<std::string, Profile>& profiles_by_device) {
  TrainingRun run;
  run.job = make_training_job(scenario, profiles_by_device);
  run.faults = scenario.cluster.faults;
  run.reliability = make_reliability_input(scenario, closed_step(run.job).step);
  run.fullest = fullest_training_rank(scenario);
  for (const Pool& pool : scenario.cluster.pools) {
    std::int64_t used = 0;
    for (const GroupJob& group : run.job.groups) used += group.devices_in(pool.name);
    std::int64_t spares = 0;
    for (const PoolNodes& nodes : run.reliability.process.pools) {
      if (nodes.name == pool.name) spares = nodes.spares * nodes.devices_per_node;
    }
    const FlopPerSecond each = peak_of(scenario, pool);
    spares = std::min(spares, pool.devices() - used);
    run.spare_peak += each * static_cast<double>(spares);
    run.idle_peak += each * static_cast<double>(pool.devices() - used - spares);
  }
  return run;
}

TrainingDraws draw_training(const TrainingRun& run, const Scenario& scenario, const DrawOptions& options) {
  TrainingDraws result;
  if (options.progress) options.progress(0.0);
  const StragglerModel stragglers(run.job, run.faults);
  if (options.fidelity == Fidelity::kSimgrid) {
    // Links are shared at event level once; what that adds to the recursion is added to every draw.
    const StepDraw draw = stragglers.draw(options.seed, 0);
    const Seconds alone = MaxplusTraining(run.job).step(draw).step;
    SimgridOptions simgrid;
    simgrid.cancelled = options.cancelled;
    const Seconds shared =
        simgrid_step(run.job, scenario.cluster, scenario.devices, draw, simgrid).step;
    result.contention = std::max(0.0, shared / alone - 1.0);
  }
  for (int d = 0; d < options.draws; ++d) {
    if (options.cancelled && options.cancelled()) throw Error(ErrorKind::kCancelled, "", "cancelled");
    result.draws.push_back(
        step_of(run, stragglers, options, static_cast<std::uint32_t>(d), result.contention));
    if (options.progress) options.progress(0.9 * (d + 1) / options.draws);
  }
  ReliabilityInput reliability = run.reliability;
  reliability.step = Seconds(median_step(result.draws));
  result.effective = effective_training(reliability, std::max(options.draws, kLeastReliabilityDraws),
                                        options.seed);
  for (std::size_t d = 0; d < result.draws.size(); ++d) {
    TrainingDraw& draw = result.draws[d];
    const TimeShares& shares = options.fidelity == Fidelity::kClosed ? result.effective.closed
                                                                     : result.effective.draws[d];
    draw.productive = shares.productive;
    draw.whole = whole_run(draw.steady, shares, run);
  }
  if (options.progress) options.progress(1.0);
  return result;
}

}  // namespace lindos::sim
