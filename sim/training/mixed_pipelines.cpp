// SPDX-License-Identifier: Apache-2.0
#include "sim/training/mixed_pipelines.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/training_plan.h"

namespace lindos::sim {

namespace {

// One kind: a group of the given plan that lies on one pool.
struct Kind {
  const GroupPlan* group = nullptr;
  const Pool* pool = nullptr;
  double speed = 0.0;          // layers per second of one stage
  std::int64_t stages = 0;     // that its devices can form
};

std::optional<Kind> kind_of(const Scenario& scenario, const GroupPlan& group, double layer_rate) {
  const std::string& name = group.stages.front().ranks.front().pool;
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) {
      if (rank.pool != name) return std::nullopt;
    }
  }
  const auto pool = std::find_if(scenario.cluster.pools.begin(), scenario.cluster.pools.end(),
                                 [&](const Pool& p) { return p.name == name; });
  return Kind{&group, &*pool, layer_rate, group.replicas * static_cast<std::int64_t>(group.stages.size())};
}

// `slow` stages of one kind, then one stage of the fast kind with layers in proportion.
GroupPlan mixed(const Scenario& scenario, const Kind& slow, const Kind& fast, int stages,
                std::int64_t replicas) {
  GroupPlan group = *slow.group;
  group.name = slow.group->name + "+" + fast.group->name;
  group.replicas = replicas;
  std::vector<double> weights(static_cast<std::size_t>(stages), 1.0);
  weights.back() = fast.speed / slow.speed;
  const std::vector<Range> layers = balance_layers(scenario.model, weights);
  group.stages.assign(static_cast<std::size_t>(stages), slow.group->stages.front());
  group.stages.back() = fast.group->stages.back();
  for (std::size_t s = 0; s < layers.size(); ++s) group.stages[s].layers = layers[s];
  return group;
}

}  // namespace

std::optional<std::string> mix_pipelines(Scenario& scenario, const std::vector<double>& layer_rates) {
  if (scenario.plan.groups.size() < 2) return "all replicas are of one kind";
  std::vector<Kind> kinds;
  for (std::size_t g = 0; g < scenario.plan.groups.size(); ++g) {
    const auto kind = kind_of(scenario, scenario.plan.groups[g], layer_rates[g]);
    if (!kind) return "the plan mixes kinds inside replicas already";
    kinds.push_back(*kind);
  }
  std::stable_sort(kinds.begin(), kinds.end(), [](const Kind& a, const Kind& b) { return a.speed > b.speed; });
  const Kind fast = kinds.front();
  const std::size_t tensor = fast.group->stages.front().ranks.size();
  std::int64_t fast_left = fast.stages;
  Plan plan;
  plan.name = scenario.plan.name;
  std::int64_t replicas = 0;
  for (std::size_t k = 1; k < kinds.size(); ++k) {
    const Kind& slow = kinds[k];
    if (slow.group->stages.front().ranks.size() != tensor ||
        slow.group->training.context_parallel != fast.group->training.context_parallel)
      return "the kinds are cut into different tensor or context groups";
    if (slow.speed >= fast.speed) return "no kind is faster than the others";
    // As many layers on a slow stage as now, the fast stage takes speed times that.
    const auto depth = static_cast<double>(slow.group->stages.size());
    const double each = static_cast<double>(scenario.model.layers) / depth;
    const auto slow_stages = static_cast<std::int64_t>(std::max(
        1.0, std::ceil((static_cast<double>(scenario.model.layers) - each * fast.speed / slow.speed) / each - 1e-9)));
    const std::int64_t possible = std::min(slow.stages / slow_stages, fast_left);
    if (possible == 0) return "too few devices of the fastest kind for one stage per replica";
    plan.groups.push_back(mixed(scenario, slow, fast, static_cast<int>(slow_stages) + 1, possible));
    fast_left -= possible;
    replicas += possible;
    const std::int64_t alone = (slow.stages - possible * slow_stages) / static_cast<std::int64_t>(depth);
    if (alone == 0) continue;
    GroupPlan rest = *slow.group;
    rest.replicas = alone;
    plan.groups.push_back(std::move(rest));
    replicas += alone;
  }
  if (const auto alone = fast_left / static_cast<std::int64_t>(fast.group->stages.size()); alone > 0) {
    GroupPlan rest = *fast.group;
    rest.replicas = alone;
    plan.groups.push_back(std::move(rest));
    replicas += alone;
  }
  // The batch is dealt out evenly again; rounded up, so that it does not shrink.
  TrainingWorkload& training = scenario.workload.training;
  const std::int64_t batches = training.global_batch / training.micro_batch;
  const std::int64_t each = (batches + replicas - 1) / replicas;
  for (GroupPlan& group : plan.groups) group.training.micro_batches = each;
  training.global_batch = replicas * each * training.micro_batch;
  scenario.plan = std::move(plan);
  return std::nullopt;
}

}  // namespace lindos::sim
