// SPDX-License-Identifier: Apache-2.0
#include "sim/planner/fit_here.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/ops.h"

namespace lindos::sim {

namespace {

constexpr double kModelShare = 2.0 / 3.0;
// A run of some seconds on a CPU.
constexpr std::int64_t kRequests = 8;
constexpr std::int64_t kLongestPrompt = 128;
constexpr std::int64_t kLongestOutput = 32;

// Neighbours summed until `count` are left.
std::vector<double> merged(const std::vector<double>& weights, std::size_t count) {
  std::vector<double> out(count, 0.0);
  for (std::size_t i = 0; i < weights.size(); ++i) out[i * count / weights.size()] += weights[i];
  return out;
}

// Both degrees halved in turn, the larger first, until they fit.
std::pair<std::size_t, std::size_t> fewer(std::size_t tensor, std::size_t stages, std::size_t ranks) {
  while (tensor * stages > ranks) (stages >= tensor && stages > 1 ? stages : tensor) /= 2;
  return {std::max<std::size_t>(1, tensor), std::max<std::size_t>(1, stages)};
}

LengthRange shortened(const LengthRange& range, std::int64_t longest) {
  const double scale = std::min(1.0, static_cast<double>(longest) / static_cast<double>(range.high));
  const auto scaled = [&](std::int64_t tokens) {
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(static_cast<double>(tokens) * scale));
  };
  return {scaled(range.low), scaled(range.high)};
}

}  // namespace

Scenario fit_here(const Scenario& fleet, const Plan& plan, const Scenario& here, const HereOptions& options) {
  if (fleet.workload.kind != WorkloadKind::kServing) {
    throw Error(ErrorKind::kInput, fleet.name,
                "the engine serves inference; a training plan has no form that runs here");
  }
  const auto devices = [](const GroupPlan& group) { return group.replicas * group.devices_per_replica(); };
  const auto fewer_devices = [&](const GroupPlan& a, const GroupPlan& b) { return devices(a) < devices(b); };
  const auto largest = std::max_element(plan.groups.begin(), plan.groups.end(), fewer_devices);
  Scenario out = here;
  out.name = fleet.name + " here";
  out.description = "Plan \"" + plan.name + "\", group \"" + largest->name + "\", on the ranks of this machine.";
  const Dtype dtype = here.plan.groups.front().weight_dtype;
  const double bytes = static_cast<double>(parameter_count(fleet.model)) * bytes_of(dtype);
  if (bytes <= kModelShare * options.memory.value()) out.model = fleet.model;
  out.workload = fleet.workload;
  ServingWorkload& serving = out.workload.serving;
  serving.requests = serving.requests > 0 ? std::min(serving.requests, kRequests) : kRequests;
  serving.duration = Seconds{0};
  serving.concurrency = 0;
  serving.arrival = Arrival::kTogether;
  serving.rate = Hertz(0);
  serving.prompt = shortened(serving.prompt, kLongestPrompt);
  serving.output = shortened(serving.output, kLongestOutput);
  serving.tenants.clear();  // nothing is promised here
  out.slo = {};

  std::vector<double> tensor_weights;
  for (const RankPlan& rank : largest->stages.front().ranks)
    tensor_weights.push_back(static_cast<double>(std::max<std::int64_t>(1, rank.share.ffn.size())));
  std::vector<double> stage_weights;
  for (const StagePlan& stage : largest->stages) stage_weights.push_back(static_cast<double>(stage.layers.size()));
  auto [tensor, stages] = fewer(tensor_weights.size(), stage_weights.size(), static_cast<std::size_t>(options.ranks));
  tensor = std::min(tensor, static_cast<std::size_t>(out.model.q_heads));
  stages = std::min(stages, static_cast<std::size_t>(out.model.layers));
  EngineLimits limits = here.plan.groups.front().limits;
  limits.max_sequences = std::min(limits.max_sequences, serving.requests);
  limits.max_context = std::min(out.model.max_positions, serving.prompt.high + serving.output.high);
  Plan scaled = make_plan(out.model, here.cluster.pools.front().name, static_cast<int>(stages),
                          merged(tensor_weights, tensor), merged(stage_weights, stages), dtype, limits, kCpuGranule);
  out.plan = Plan{plan.name + ", fitted here", std::move(scaled.groups)};
  out.plan_given = true;
  return out;
}

}  // namespace lindos::sim
