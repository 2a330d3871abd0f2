// SPDX-License-Identifier: Apache-2.0
// The [plan] table: a plan file, plan JSON (canonical form), or the simple form in which a group is
// a pipeline of equal tensor-parallel stages, spread over replicas.
#include <set>
#include <string>
#include <vector>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_admission.h"
#include "scenarios/plan_pools.h"
#include "scenarios/plan_json.h"
#include "scenarios/scenario_toml.h"
#include "scenarios/text_file.h"

namespace lindos {
namespace {

// Keys of one group; a plan of a single group writes them in [plan] itself.
const std::initializer_list<std::string_view> kGroupKeys = {
    "name", "pool", "role", "replicas", "routing_weight", "stages", "stage_weights", "tensor",
    "tensor_weights", "kv_split", "dtype", "kv_dtype", "max_batched_tokens", "max_sequences",
    "prefill_chunk", "block_tokens", "kv_blocks", "max_context", "memory_fraction", "prefix_reuse", "kv_offload", "power_limit",
    "zero_stage",     "virtual_stages", "sequence_parallel", "context_parallel", "expert_parallel", "micro_batches",
    "fused_attention", "portable_attention", "fused_loss", "gradient_dtype", "overlap_gradient_reduce", "overlap_parameter_gather",
    "overlap_tensor", "hierarchical_exchange"};
// Those of them that only a training job has.
const std::initializer_list<std::string_view> kTrainingKeys = {
    "zero_stage", "virtual_stages", "sequence_parallel", "context_parallel", "micro_batches", "fused_attention",
    "portable_attention", "fused_loss", "gradient_dtype", "overlap_gradient_reduce", "overlap_parameter_gather", "overlap_tensor", "hierarchical_exchange"};

// Keeps a slip of the finger from building millions of ranks; the largest real replicas have
// thousands.
constexpr std::int64_t kMaxRanks = 65'536;

const Device& device_of(const Scenario& scenario, const Pool& pool) {
  return scenario.devices.at(pool.node.device);
}

std::vector<std::string> pool_names(const Cluster& cluster) {
  std::vector<std::string> names;
  for (const Pool& p : cluster.pools) names.push_back(p.name);
  return names;
}

const Pool& pool_of(const TomlTable& table, const Cluster& cluster) {
  if (!table.has("pool")) {
    if (cluster.pools.size() == 1) return cluster.pools.front();
    table.fail("", "missing key \"pool\": the cluster has several pools");
  }
  const std::string name = table.text("pool");
  for (const Pool& p : cluster.pools) {
    if (p.name == name) return p;
  }
  table.fail_unknown("pool", "pool", name, pool_names(cluster));
}

EngineLimits read_limits(const TomlTable& table, const Model& model, bool serves_on_gpu) {
  EngineLimits limits;
  if (serves_on_gpu) limits.block_tokens = kGpuBlockTokens;
  limits.max_batched_tokens =
      table.integer_or("max_batched_tokens", limits.max_batched_tokens, 1, kMaxTokens);
  limits.max_sequences = table.integer_or("max_sequences", limits.max_sequences, 1, kMaxTokens);
  limits.prefill_chunk =
      table.integer_or("prefill_chunk", limits.max_batched_tokens, 1, kMaxTokens);
  limits.block_tokens = table.integer_or("block_tokens", limits.block_tokens, 1, 1'000'000);
  limits.kv_blocks = table.integer_or("kv_blocks", 0, 0, kMaxTokens);
  limits.max_context = table.integer_or("max_context", 0, 0, kMaxTokens);
  if (model.max_positions > 0 && limits.max_context > model.max_positions) {
    table.fail("max_context", "the model's context is " + std::to_string(model.max_positions) +
                                  ", saw " + std::to_string(limits.max_context));
  }
  limits.memory_fraction = table.number_or("memory_fraction", limits.memory_fraction, 0.01, 1.0);
  limits.prefix_reuse = table.boolean_or("prefix_reuse", limits.prefix_reuse);
  limits.kv_offload = table.quantity_or("kv_offload", limits.kv_offload);
  if (table.has("kv_offload") && !limits.prefix_reuse)
    table.fail("kv_offload", "host memory keeps what prompts that begin alike reuse; add prefix_reuse = true");
  return limits;
}

// `count = n` (even) or `weights = […]` (uneven); both are fine when they agree. Empty weights mean
// even.
std::vector<double> read_weights(const TomlTable& table, std::string_view count_key,
                                 std::string_view weights_key, std::int64_t highest) {
  if (!table.has(weights_key)) {
    return std::vector<double>(static_cast<std::size_t>(table.integer_or(count_key, 1, 1, highest)),
                               1.0);
  }
  const std::vector<double> weights = table.numbers(weights_key, 0.0, 1e9);
  double sum = 0.0;
  for (const double w : weights) sum += w;
  if (weights.empty() || sum <= 0.0) {
    table.fail(weights_key, "expected relative speeds such as [2.0, 1.0], at least one above zero");
  }
  const auto size = static_cast<std::int64_t>(weights.size());
  if (size > highest) table.fail(weights_key, "at most " + std::to_string(highest) + " entries");
  if (table.has(count_key) && table.integer(count_key, 1, highest) != size) {
    table.fail(count_key, "does not agree with the " + std::to_string(size) + " entries of " +
                              std::string(weights_key));
  }
  return weights;
}

TrainingPlan read_training(const TomlTable& table) {
  TrainingPlan t;
  t.zero_stage = table.small_or("zero_stage", t.zero_stage, 0, 3);
  t.virtual_stages = table.small_or("virtual_stages", t.virtual_stages, 1, 1024);
  t.sequence_parallel = table.boolean_or("sequence_parallel", t.sequence_parallel);
  t.context_parallel = table.integer_or("context_parallel", t.context_parallel, 1, kMaxRanks);
  t.expert_parallel = table.integer_or("expert_parallel", t.expert_parallel, 1, kMaxRanks);
  t.micro_batches = table.integer_or("micro_batches", t.micro_batches, 0, kMaxTokens);
  t.fused_attention = table.boolean_or("fused_attention", t.fused_attention);
  t.portable_attention = table.boolean_or("portable_attention", t.portable_attention);
  t.fused_loss = table.boolean_or("fused_loss", t.fused_loss);
  t.gradient_dtype = table.dtype_or("gradient_dtype", t.gradient_dtype);
  t.overlap_gradient_reduce = table.boolean_or("overlap_gradient_reduce", t.overlap_gradient_reduce);
  t.overlap_parameter_gather =
      table.boolean_or("overlap_parameter_gather", t.overlap_parameter_gather);
  if (table.has("overlap_tensor")) {
    constexpr TensorOverlap kChoices[] = {TensorOverlap::kNone, TensorOverlap::kBackward,
                                          TensorOverlap::kTiles};
    t.overlap_tensor = kChoices[table.choice("overlap_tensor", {"none", "backward", "tiles"})];
  }
  t.hierarchical_exchange = table.boolean_or("hierarchical_exchange", t.hierarchical_exchange);
  return t;
}

// Serving: 1 cuts experts into columns, the number of a stage's ranks deals them out whole; by their width when absent.
void read_expert_ranks(const TomlTable& table, const Model& model, GroupPlan& group) {
  if (!table.has("expert_parallel")) return;
  if (!model.is_moe()) table.fail("expert_parallel", "model \"" + model.name + "\" has no experts to deal out");
  const auto ranks = static_cast<std::int64_t>(group.stages.front().ranks.size());
  const std::int64_t dealt = table.integer("expert_parallel", 1, kMaxRanks);
  const std::int64_t experts = model.moe.experts;
  if ((dealt != 1 && dealt != ranks) || dealt > experts) {
    table.fail("expert_parallel", "expected 1 or the " + std::to_string(ranks) + " ranks of a stage, of which each needs one of the " +
                                      std::to_string(experts) + " experts; saw " + std::to_string(dealt));
  }
  for (StagePlan& stage : group.stages) {
    for (std::int64_t r = 0; r < ranks; ++r) {
      stage.ranks[static_cast<std::size_t>(r)].share.experts =
          dealt == 1 ? Range{0, experts} : Range{experts * r / ranks, experts * (r + 1) / ranks};
    }
  }
}

GroupPlan read_group(const TomlTable& table, const Scenario& scenario) {
  const Model& model = scenario.model;
  const Pool& pool = pool_of(table, scenario.cluster);
  const std::vector<double> stages = read_weights(table, "stages", "stage_weights", model.layers);
  const std::vector<double> tensor = read_weights(table, "tensor", "tensor_weights", 1024);
  const auto ranks = static_cast<std::int64_t>(stages.size() * tensor.size());
  if (ranks > kMaxRanks) {
    table.fail("",
               std::to_string(ranks) + " ranks per replica; at most " + std::to_string(kMaxRanks));
  }
  const Dtype dtype = table.dtype_or("dtype", model.dtype);
  const bool cuda = device_of(scenario, pool).compute_capability > 0;
  const bool trains = scenario.workload.kind == WorkloadKind::kTraining;
  constexpr KvSplit kSplits[] = {KvSplit::kReplicate, KvSplit::kWholeGroups};
  const KvSplit split = table.has("kv_split")
                            ? kSplits[table.choice("kv_split", {"replicate", "whole-groups"})]
                            : KvSplit::kReplicate;
  GroupPlan group;
  try {
    group = make_plan(model, pool.name, static_cast<int>(stages.size()), tensor, stages, dtype,
                      read_limits(table, model, cuda && !trains), cuda ? kGpuGranule : kCpuGranule, split)
                .groups.at(0);
  } catch (const Error& e) {
    if (!e.where().empty()) throw;  // has its place already
    table.fail("", e.what());
  }
  group.name = table.text_or("name", pool.name);
  group.role = trains ? Role::kTrain : Role::kBoth;
  if (table.has("role")) {
    constexpr Role kRoles[] = {Role::kBoth, Role::kPrefill, Role::kDecode, Role::kTrain};
    group.role = kRoles[table.choice("role", {"both", "prefill", "decode", "train"})];
  }
  if ((group.role == Role::kTrain) != trains) {
    table.fail("role", "the workload is " + std::string(trains ? "training" : "serving"));
  }
  group.replicas = table.integer_or("replicas", 1, 1, kMaxTokens);
  group.routing_weight = table.number_or("routing_weight", 1.0, 0.0, 1e9);
  group.kv_dtype = table.dtype_or("kv_dtype", group.kv_dtype);
  group.power_limit = table.quantity_or("power_limit", group.power_limit);
  if (const std::string why = why_no_limit(device_of(scenario, pool), group.power_limit); !why.empty())
    table.fail("power_limit", why);
  if (trains) {
    group.training = read_training(table);
  } else {
    read_expert_ranks(table, model, group);
    for (const std::string_view key : kTrainingKeys) {
      if (table.has(key)) table.fail(key, "is for training; the workload is serving");
    }
  }
  return group;
}

// `bounded`: a router that bounds what is unfinished looks at it, whatever the policy.
Routing read_routing(const TomlTable& table, const Scenario& scenario, bool bounded) {
  if (scenario.workload.kind == WorkloadKind::kTraining)
    table.fail("", "requests are routed, and the workload is training");
  table.allow({"policy", "replicas_per_router", "load_bound"});
  Routing routing;
  routing.policy = kRoutingPolicies[table.choice(
      "policy", {"weighted-round-robin", "random", "least-outstanding", "power-of-two", "prefix-affinity"})];
  if (table.has("replicas_per_router") && !looks_at_load(routing.policy) && !bounded)
    table.fail("replicas_per_router", "only a policy that looks at the replicas' load or admission limits need it");
  if (table.has("load_bound") && routing.policy != RoutingPolicy::kPrefixAffinity)
    table.fail("load_bound", "only the policy prefix-affinity has a bound");
  routing.replicas_per_router =
      table.integer_or("replicas_per_router", routing.replicas_per_router, 1, kMaxTokens);
  routing.load_bound = table.number_or("load_bound", routing.load_bound, 1.0, 1e9);
  return routing;
}

Plan read_simple(const TomlTable& table, const Scenario& scenario) {
  Plan plan;
  plan.name = table.text_or("name", "plan");
  if (table.has("admission")) {
    const TomlTable admission = table.table("admission");
    if (scenario.workload.kind == WorkloadKind::kTraining)
      admission.fail("", "limits the requests that are let in, and the workload is training");
    plan.admission = read_admission(admission);
  }
  if (table.has("routing"))
    plan.routing = read_routing(table.table("routing"), scenario, plan.admission.any());
  if (table.has("group")) {
    table.allow({"name", "group", "routing", "admission"});
    std::set<std::string> names;
    for (const TomlTable& entry : table.tables_or_none("group")) {
      entry.allow(kGroupKeys);
      plan.groups.push_back(read_group(entry, scenario));
      if (!names.insert(plan.groups.back().name).second) {
        entry.fail("name", "second group named \"" + plan.groups.back().name + '"');
      }
    }
    if (plan.groups.empty()) table.fail("group", "a plan needs at least one group");
    return plan;
  }
  table.allow(kGroupKeys, {"file", "json", "group", "routing", "admission"});
  plan.groups.push_back(read_group(table, scenario));
  return plan;
}

}  // namespace

Plan read_plan(const TomlTable& table, const std::filesystem::path& base,
               const Scenario& scenario) {
  Plan plan;
  std::string place = table.where("");
  if (table.has("file")) {
    table.allow({"file"});
    const std::filesystem::path path = base / table.text("file");
    plan = plan_from_json(read_text_file(path, table.where("file")), path.string());
    place = path.string();
  } else if (table.has("json")) {
    table.allow({"json"});
    place = table.where("json");
    plan = plan_from_json(table.text("json"), place);
  } else {
    plan = read_simple(table, scenario);
  }
  check_plan(plan, scenario, place);
  return plan;
}

}  // namespace lindos
