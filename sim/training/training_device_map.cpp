// SPDX-License-Identifier: Apache-2.0
#include "sim/training/training_device_map.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "scenarios/error.h"
#include "sim/device_fields.h"
#include "sim/power_limit.h"
#include "sim/training/step_ledger.h"

namespace lindos::sim {

namespace {

// As sim/training/straggler_draws.cpp visits them: replicas and stages follow each other in each pool that they use.
std::vector<PlacedStage> place_stages(const TrainingJob& job, const std::vector<PoolShape>& pools) {
  std::vector<PlacedStage> placed;
  std::map<std::string, std::int64_t> used;  // devices of each pool
  for (const GroupJob& group : job.groups) {
    std::map<std::string, std::int64_t> inside = used;  // and of this group's first replica
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const StageJob& stage = group.stages[s];
      const auto pool =
          std::find_if(pools.begin(), pools.end(), [&](const PoolShape& p) { return p.name == stage.pool; });
      LINDOS_ASSERT(pool != pools.end(), "the job was made from this cluster");
      placed.push_back({group.name, static_cast<int>(s), static_cast<int>(pool - pools.begin()), inside[stage.pool],
                        stage.devices, group.devices_in(stage.pool) / group.replicas, group.replicas});
      inside[stage.pool] += stage.devices;
    }
    for (const PoolShape& pool : pools) used[pool.name] += group.devices_in(pool.name);
  }
  return placed;
}

}  // namespace

DeviceMap training_device_map(const Scenario& scenario, const TrainingRun& run, const TrainingDraws& drawn,
                              const DrawOptions& options) {
  DeviceMap map;
  map.pools = pool_shapes(scenario);
  map.stages = place_stages(run.job, map.pools);
  std::vector<std::size_t> first_stage;  // of each group, in map.stages
  for (std::size_t g = 0, next = 0; g < run.job.groups.size(); next += run.job.groups[g++].stages.size())
    first_stage.push_back(next);
  for (std::size_t d = 0; d < drawn.draws.size(); ++d) {
    const TrainingDraw& draw = drawn.draws[d];
    map.steps.push_back({static_cast<std::int64_t>(d), draw.step.count(),
                         static_cast<int>(first_stage[draw.gate.group] + draw.gate.stage), draw.gate.replica});
  }
  map.shown = median_draw(drawn.draws);
  const double step = drawn.draws[static_cast<std::size_t>(map.shown)].step.count();
  const TrainingJob job = priced_otherwise(run.job, options.seed, static_cast<std::uint32_t>(map.shown));

  DeviceFields fields(map.pools);
  std::vector<std::vector<float>>
      factors;  // [group][replica × stages + stage]: slowest slice, never below the roofline
  for (const GroupJob& group : job.groups) {
    std::vector<float>& own = factors.emplace_back();
    for (std::int64_t r = 0; r < group.replicas; ++r) {
      for (const StageJob& stage : group.stages) own.push_back(stage.fastest());
    }
  }
  if (options.fidelity == Fidelity::kClosed) {
    for (std::vector<float>& own : factors) std::fill(own.begin(), own.end(), 1.0F);
  } else {
    const StragglerModel stragglers(run.job, run.faults);
    for (const SliceDraw& slice : stragglers.slices(options.seed, static_cast<std::uint32_t>(map.shown))) {
      const std::vector<StageJob>& stages = job.groups[slice.group].stages;
      const std::size_t s = slice.index % stages.size();
      const int pool = map.stages[first_stage[slice.group] + s].pool;
      const auto set = [&](const char* quantity, float value) {
        fields.set(quantity, pool, slice.first, slice.devices, value);
      };
      set("slowdown", slice.node * slice.spread * slice.throttle);
      set("node_slowdown", slice.node);
      set("heat", slice.throttle);
      set("network", slice.network);
      float& factor = factors[slice.group][slice.index];
      factor = std::max(factor, std::max(slice.node * slice.spread, stages[s].fastest()) * slice.throttle);
    }
  }
  for (std::size_t g = 0; g < job.groups.size(); ++g) {
    const GroupJob& group = job.groups[g];
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const StageJob& stage = group.stages[s];
      const PlacedStage& placed = map.stages[first_stage[g] + s];
      const TimeSplit passes = passes_of(group, stage);
      const double useful = (passes.of(Cause::kUseful) + stage.optimizer.of(Cause::kUseful)).count();
      const double own = (passes.total() + stage.optimizer.total()).count();
      for (std::int64_t r = 0; r < group.replicas; ++r) {
        const std::int64_t first = placed.first + r * placed.stride;
        const double factor = factors[g][static_cast<std::size_t>(r) * group.stages.size() + s];
        const double busy = own + passes.compute().count() * (factor - 1.0);
        fields.set("utilisation", placed.pool, first, placed.devices, useful / step);
        // A rung that draws no device does not say which one waits for which.
        if (options.fidelity == Fidelity::kClosed) continue;
        fields.set("waiting", placed.pool, first, placed.devices, std::max(0.0, 1.0 - busy / step));
      }
    }
  }
  const DeviceLimits limits = device_limits(scenario, OtherDevices::kWork);
  for (std::size_t p = 0; p < map.pools.size(); ++p) {
    const Pool& pool = scenario.cluster.pools[p];
    if (const Watts limit = limits.others.at(pool.name); limit.value() > 0.0)
      fields.set("power_limit_w", static_cast<int>(p), 0, pool.devices(), limit.value());
  }
  for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
    const GroupPlan& group = scenario.plan.groups[g];
    if (group.power_limit.value() <= 0.0) continue;
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      const PlacedStage& placed = map.stages[first_stage[g] + s];
      const Watts limit = limits.groups[g].at(scenario.cluster.pools[static_cast<std::size_t>(placed.pool)].name);
      for (std::int64_t r = 0; r < group.replicas; ++r)
        fields.set("power_limit_w", placed.pool, placed.first + r * placed.stride, placed.devices, limit.value());
    }
  }
  map.fields = fields.encoded();
  validate_device_map(map, scenario.name);
  return map;
}

}  // namespace lindos::sim
