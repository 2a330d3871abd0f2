// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/training_space.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/json_reader.h"

namespace lindos::sim {

namespace {

// Numbers of stages that are all tried; deeper pipelines only where they shorten the longest chunk.
constexpr int kAllStages = 32;
// Wider tensor groups leave GEMMs too narrow to be worth pricing.
constexpr std::int64_t kWidestTensor = 64;
constexpr std::int64_t kLargestMicroBatch = 8;
// Stages on either of two pools.
constexpr int kMostStagesOver = 8;

const Device& device_of(const Scenario& scenario, const Pool& pool) {
  return scenario.devices.at(pool.node.device);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

// 1, 2, 4, … up to `most`.
std::vector<std::int64_t> doublings(std::int64_t most) {
  std::vector<std::int64_t> out;
  for (std::int64_t n = 1; n <= most; n *= 2) out.push_back(n);
  return out;
}

std::vector<std::size_t> pool_indices(const Scenario& scenario, const std::vector<std::string>& names) {
  const std::vector<Pool>& pools = scenario.cluster.pools;
  std::vector<std::size_t> out;
  if (names.empty()) {
    out.resize(pools.size());
    std::iota(out.begin(), out.end(), std::size_t{0});
    return out;
  }
  std::vector<std::string> known;
  for (const Pool& pool : pools) known.push_back(pool.name);
  for (const std::string& name : names) {
    const auto found = std::find(known.begin(), known.end(), name);
    if (found == known.end()) {
      throw Error(ErrorKind::kInput, scenario.name,
                  "the cluster has no pool \"" + name + "\"" + did_you_mean(name, known));
    }
    out.push_back(static_cast<std::size_t>(found - known.begin()));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::vector<TrainingWay> ways_of(const Scenario& scenario, bool free_ways) {
  const TrainingWorkload& training = scenario.workload.training;
  std::vector<TrainingWay> ways = {{training.recompute, training.micro_batch}};
  if (!free_ways) return ways;
  const bool fused = scenario.plan.groups.empty() || scenario.plan.groups.front().training.fused_attention;
  std::vector<Recompute> recomputes = {training.recompute};
  for (const Recompute other : {Recompute::kNone, Recompute::kSelective, Recompute::kFull}) {
    // A fused kernel keeps nothing that kSelective could compute again: the same as kNone.
    const auto same = [&](Recompute known) {
      return known == other || (fused && known != Recompute::kFull && other != Recompute::kFull);
    };
    if (std::none_of(recomputes.begin(), recomputes.end(), same)) recomputes.push_back(other);
  }
  std::vector<std::int64_t> sizes = {training.micro_batch};
  for (const std::int64_t size : doublings(kLargestMicroBatch)) {
    if (training.global_batch % size == 0 && size != training.micro_batch) sizes.push_back(size);
  }
  ways.clear();
  for (const Recompute recompute : recomputes) {
    for (const std::int64_t size : sizes) ways.push_back({recompute, size});
  }
  return ways;
}

// Formats and overlaps to keep.
const GroupPlan* pattern_of(const Scenario& scenario, const std::string& pool) {
  for (const GroupPlan& group : scenario.plan.groups) {
    if (group.stages.front().ranks.front().pool == pool) return &group;
  }
  return scenario.plan.groups.empty() ? nullptr : &scenario.plan.groups.front();
}

}  // namespace

std::int64_t TrainingShape::granule() const { return expert / std::gcd(expert, context); }

TrainingSpace training_space(const Scenario& scenario, const std::vector<std::string>& pools, bool free_ways,
                             std::int64_t most_batch) {
  TrainingSpace space;
  space.pools = pool_indices(scenario, pools);
  space.ways = ways_of(scenario, free_ways);
  space.least_batch = scenario.workload.training.global_batch;
  space.most_batch = most_batch == 0 ? space.least_batch : most_batch;
  if (space.most_batch < space.least_batch) {
    throw Error(ErrorKind::kInput, scenario.name,
                "the batch may grow to " + std::to_string(most_batch) + " sequences, but the scenario's has " +
                    std::to_string(space.least_batch) + " already");
  }
  return space;
}

std::vector<TrainingShape> shapes_on(const Scenario& scenario, const TrainingSpace& space, std::size_t pool) {
  const Model& model = scenario.model;
  const Pool& own = scenario.cluster.pools[pool];
  const Device& device = device_of(scenario, own);
  const std::int64_t sequence = scenario.workload.training.sequence;
  const auto layers = static_cast<int>(model.layers);
  const int deepest = space.most_stages > 0 ? std::min(space.most_stages, layers) : layers;
  std::vector<TrainingShape> out;
  const std::int64_t domain = std::max(1, device.scale_up_domain);
  const std::int64_t widest = std::min({domain, model.q_heads, kWidestTensor});
  for (const std::int64_t tensor : doublings(widest)) {
    for (const std::int64_t context : doublings(space.widest_context)) {
      if (context > 1 && sequence % (2 * context) != 0) continue;
      for (const std::int64_t expert : doublings(model.is_moe() ? model.moe.experts : 1)) {
        if (model.is_moe() && model.moe.experts % expert != 0) continue;
        for (int chunks = 1; chunks <= layers; ++chunks) {
          // Interleaving needs a pipeline.
          for (int stages = chunks == 1 ? 1 : 2; stages <= deepest && stages * chunks <= layers; ++stages) {
            const bool shorter = stages == 1 || ceil_div(layers, std::int64_t{stages} * chunks) <
                                                    ceil_div(layers, std::int64_t{stages - 1} * chunks);
            if (stages > kAllStages && !shorter) continue;
            const TrainingShape shape{pool, tensor, context, expert, stages, chunks, 1};
            if (most_replicas(scenario, shape) > 0) out.push_back(shape);
          }
        }
      }
    }
  }
  return out;
}

std::vector<TrainingShape> shapes_over(const Scenario& scenario, const TrainingSpace& space, std::size_t first, std::size_t last) {
  const Model& model = scenario.model;
  const std::int64_t sequence = scenario.workload.training.sequence;
  const auto domain = [&](std::size_t pool) {
    return std::int64_t{std::max(1, device_of(scenario, scenario.cluster.pools[pool]).scale_up_domain)};
  };
  std::vector<TrainingShape> out;
  for (const std::int64_t tensor : doublings(std::min({domain(first), domain(last), model.q_heads, kWidestTensor}))) {
    for (const std::int64_t context : doublings(space.widest_context)) {
      if (context > 1 && sequence % (2 * context) != 0) continue;
      for (const std::int64_t expert : doublings(model.is_moe() ? model.moe.experts : 1)) {
        if (model.is_moe() && model.moe.experts % expert != 0) continue;
        for (int before = 1; before <= kMostStagesOver; before *= 2) {
          for (int after = 1; after <= kMostStagesOver; after *= 2) {
            const int stages = before + after;
            for (int chunks = 1; stages * chunks <= model.layers; chunks *= 2) {
              if (space.most_stages > 0 && stages > space.most_stages) continue;
              const TrainingShape shape{first, tensor, context, expert, stages, chunks, 1, LastStages{last, after, 0}};
              if (most_replicas(scenario, shape) > 0) out.push_back(shape);
            }
          }
        }
      }
    }
  }
  return out;
}

std::int64_t most_replicas(const Scenario& scenario, const TrainingShape& shape) {
  const auto in_pool = [&](std::size_t index) {
    const Pool& pool = scenario.cluster.pools[index];
    const std::int64_t nodes = pool.nodes - pool.spares.value_or(0);
    return std::max<std::int64_t>(0, nodes) * pool.node.devices / shape.devices_in(index);
  };
  const std::int64_t replicas = shape.last ? std::min(in_pool(shape.pool), in_pool(shape.last->pool)) : in_pool(shape.pool);
  return replicas / shape.granule() * shape.granule();
}

std::vector<std::int64_t> even_layers(const Model& model, int stages) {
  std::vector<std::int64_t> out;
  for (const Range& range : balance_layers(model, std::vector<double>(static_cast<std::size_t>(stages), 1.0)))
    out.push_back(range.size());
  return out;
}

std::vector<std::int64_t> layers_of(const Model& model, const TrainingShape& shape) {
  if (!shape.last) return even_layers(model, shape.stages);
  std::vector<std::int64_t> out;
  const auto deal = [&](std::int64_t layers, std::int64_t stages) {
    for (std::int64_t s = 0; s < stages; ++s) out.push_back(layers * (s + 1) / stages - layers * s / stages);
  };
  deal(model.layers - shape.last->layers, shape.stages - shape.last->stages);
  deal(shape.last->layers, shape.last->stages);
  return out;
}

GroupPlan group_of(const Scenario& scenario, const TrainingShape& shape, std::int64_t replicas,
                   std::int64_t micro_batches) {
  return group_of(scenario, shape, layers_of(scenario.model, shape), replicas, micro_batches);
}

GroupPlan group_of(const Scenario& scenario, const TrainingShape& shape, const std::vector<std::int64_t>& layers,
                   std::int64_t replicas, std::int64_t micro_batches) {
  const Pool& pool = scenario.cluster.pools[shape.pool];
  const GroupPlan* pattern = pattern_of(scenario, pool.name);
  const Dtype dtype = pattern != nullptr ? pattern->weight_dtype : Dtype::kBf16;
  const std::int64_t granule = device_of(scenario, pool).compute_capability == 0 ? kCpuGranule : kGpuGranule;
  Plan plan = make_plan(scenario.model, pool.name, 1,
                        std::vector<double>(static_cast<std::size_t>(shape.tensor), 1.0), {}, dtype, {}, granule);
  GroupPlan group = std::move(plan.groups.front());
  group.stages.assign(layers.size(), group.stages.front());
  std::int64_t begin = 0;
  for (std::size_t s = 0; s < layers.size(); ++s) {
    group.stages[s].layers = {begin, begin + layers[s]};
    begin += layers[s];
  }
  group.name = pool.name;
  if (shape.last) {
    const std::string& others = scenario.cluster.pools[shape.last->pool].name;
    group.name += "+" + others;
    for (std::size_t s = layers.size() - static_cast<std::size_t>(shape.last->stages); s < layers.size(); ++s) {
      for (RankPlan& rank : group.stages[s].ranks) rank.pool = others;
    }
  }
  group.role = Role::kTrain;
  group.replicas = replicas;
  if (pattern != nullptr) {
    group.training = pattern->training;
    group.activation_dtype = pattern->activation_dtype;
    group.kv_dtype = pattern->kv_dtype;
    group.limits = pattern->limits;
  }
  group.training.context_parallel = shape.context;
  group.training.expert_parallel = shape.expert;
  group.training.virtual_stages = shape.chunks;
  group.training.zero_stage = shape.zero_stage;
  group.training.micro_batches = micro_batches;
  group.training.sequence_parallel =
      shape.tensor > 1 && (scenario.workload.training.sequence / shape.context) % shape.tensor == 0;
  return group;
}

std::string text_of(const TrainingShape& shape) {
  std::string out;
  const auto add = [&](const char* name, std::int64_t degree) {
    if (degree > 1) out += (out.empty() ? "" : " ") + (name + std::to_string(degree));
  };
  add("TP", shape.tensor);
  add("CP", shape.context);
  add("EP", shape.expert);
  add("PP", shape.stages);
  if (shape.chunks > 1) out += " x" + std::to_string(shape.chunks) + " chunks";
  if (shape.zero_stage > 1) out += " ZeRO-" + std::to_string(shape.zero_stage);
  if (shape.last) out += ", " + std::to_string(shape.last->layers) + " layers on the last " + std::to_string(shape.last->stages);
  return out.empty() ? "one device per replica" : out;
}

std::string pools_text(const Scenario& scenario, const TrainingShape& shape) {
  const std::vector<Pool>& pools = scenario.cluster.pools;
  return pools[shape.pool].name + (shape.last ? " and " + pools[shape.last->pool].name : "");
}

}  // namespace lindos::sim
