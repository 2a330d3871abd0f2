// SPDX-License-Identifier: Apache-2.0
#include "scenarios/plan_json.h"

#include <array>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "scenarios/json_reader.h"
#include "scenarios/plan_admission.h"

namespace lindos {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFormat = "lindos-plan";
constexpr int kVersion = 1;
// Far beyond any plan that makes sense; bounds what a hostile file can ask for.
constexpr std::int64_t kLargest = std::int64_t{1} << 40;
constexpr double kMostHostMemory = 1e18;  // bytes
constexpr double kMostWatts = 1e12;
constexpr std::int64_t kMostRanks = 65'536;  // of one kind of parallelism

constexpr std::array<std::pair<Role, const char*>, 4> kRoles{{{Role::kBoth, "both"},
                                                              {Role::kPrefill, "prefill"},
                                                              {Role::kDecode, "decode"},
                                                              {Role::kTrain, "train"}}};

const char* name_of(Role role) {
  for (const auto& [value, name] : kRoles) {
    if (value == role) return name;
  }
  return "";
}

Json json_of(const Range& range) { return Json::array({range.begin, range.end}); }

Json json_of(const RankPlan& rank) {
  return {{"pool", rank.pool},
          {"threads", rank.threads},
          {"share",
           {{"q_heads", json_of(rank.share.q_heads)},
            {"kv_heads", json_of(rank.share.kv_heads)},
            {"ffn", json_of(rank.share.ffn)},
            {"vocab", json_of(rank.share.vocab)},
            {"experts", json_of(rank.share.experts)}}}};
}

Json json_of(const StagePlan& stage) {
  Json ranks = Json::array();
  for (const RankPlan& rank : stage.ranks) ranks.push_back(json_of(rank));
  return {{"layers", json_of(stage.layers)}, {"ranks", std::move(ranks)}};
}

Json json_of(const EngineLimits& limits) {
  Json json = {{"max_batched_tokens", limits.max_batched_tokens},
               {"max_sequences", limits.max_sequences},
               {"prefill_chunk", limits.prefill_chunk},
               {"block_tokens", limits.block_tokens},
               {"kv_blocks", limits.kv_blocks},
               {"max_context", limits.max_context},
               {"memory_fraction", limits.memory_fraction}};
  // Only where it is on: plans from before the key keep their digest.
  if (limits.prefix_reuse) json["prefix_reuse"] = true;
  if (limits.kv_offload > Bytes{0}) json["kv_offload"] = limits.kv_offload.value();
  return json;
}

Json json_of(const TrainingPlan& training) {
  return {{"zero_stage", training.zero_stage},
          {"virtual_stages", training.virtual_stages},
          {"sequence_parallel", training.sequence_parallel},
          {"context_parallel", training.context_parallel},
          {"expert_parallel", training.expert_parallel},
          {"micro_batches", training.micro_batches},
          {"fused_attention", training.fused_attention},
          {"portable_attention", training.portable_attention},
          {"fused_loss", training.fused_loss},
          {"gradient_dtype", name_of(training.gradient_dtype)},
          {"overlap_gradient_reduce", training.overlap_gradient_reduce},
          {"overlap_parameter_gather", training.overlap_parameter_gather},
          {"overlap_tensor", name_of(training.overlap_tensor)},
          {"hierarchical_exchange", training.hierarchical_exchange}};
}

Json json_of(const GroupPlan& group) {
  Json stages = Json::array();
  for (const StagePlan& stage : group.stages) stages.push_back(json_of(stage));
  Json json = {{"name", group.name},
               {"role", name_of(group.role)},
               {"replicas", group.replicas},
               {"routing_weight", group.routing_weight},
               {"weight_dtype", name_of(group.weight_dtype)},
               {"kv_dtype", name_of(group.kv_dtype)},
               {"activation_dtype", name_of(group.activation_dtype)},
               {"limits", json_of(group.limits)}};
  if (group.power_limit > Watts{0}) json["power_limit_w"] = group.power_limit.value();
  if (group.role == Role::kTrain || group.training != TrainingPlan{}) {
    json["training"] = json_of(group.training);
  }
  json["stages"] = std::move(stages);
  return json;
}

Json json_of(const Routing& routing) {
  return {{"policy", name_of(routing.policy)},
          {"replicas_per_router", routing.replicas_per_router},
          {"load_bound", routing.load_bound}};
}

// Indented by two, but a value that fits stays on its line: a rank is one line, whatever its shares.
void print(const Json& value, std::size_t indent, std::string& out) {
  constexpr std::size_t kLineLength = 240;
  std::string line = value.dump();
  if (!value.is_structured() || value.empty() ||
      (line.size() <= kLineLength && !value.contains("stages") && !value.contains("ranks"))) {
    out += line;
    return;
  }
  const std::string margin(indent + 2, ' ');
  out += value.is_array() ? "[" : "{";
  bool first = true;
  for (const auto& [key, element] : value.items()) {
    out += first ? "\n" : ",\n";
    first = false;
    out += margin;
    if (value.is_object()) out += Json(key).dump() + ": ";
    print(element, indent + 2, out);
  }
  out += "\n" + std::string(indent, ' ') + (value.is_array() ? "]" : "}");
}

Range range_of(JsonObject& object, const std::string& key) {
  const std::vector<double> ends = object.numbers(key, 0.0);
  const auto whole = [](double x) {
    return x == std::floor(x) && x <= static_cast<double>(kLargest);
  };
  if (ends.size() != 2 || !whole(ends[0]) || !whole(ends[1])) {
    object.fail(key, "expected a range [begin, end] of two integers from 0 to 2^40");
  }
  const Range range{static_cast<std::int64_t>(ends[0]), static_cast<std::int64_t>(ends[1])};
  if (range.end < range.begin) {
    object.fail(key, "the range ends before it begins: [" + std::to_string(range.begin) + ", " +
                         std::to_string(range.end) + "]");
  }
  return range;
}

int small_integer(JsonObject& object, const std::string& key, int low, int high) {
  return static_cast<int>(object.integer(key, low, high));
}

Dtype dtype_of(JsonObject& object, const std::string& key) {
  const std::string text = object.text(key);
  if (const auto dtype = find_dtype(text)) return *dtype;
  object.fail(key, "unknown number format \"" + text +
                       "\"; known: f32, f16, bf16, fp8, fp4, int8" +
                       did_you_mean(text, {"f32", "f16", "bf16", "fp8", "fp4", "int8"}));
}

Role role_of(JsonObject& object) {
  const std::string text = object.text("role");
  std::vector<std::string> known;
  for (const auto& [role, name] : kRoles) {
    if (text == name) return role;
    known.emplace_back(name);
  }
  object.fail("role", "unknown role \"" + text + "\"; known: both, prefill, decode, train" +
                          did_you_mean(text, known));
}

TensorOverlap overlap_of(JsonObject& object) {
  const std::string text = object.text("overlap_tensor");
  std::vector<std::string> known;
  for (const TensorOverlap overlap :
       {TensorOverlap::kNone, TensorOverlap::kBackward, TensorOverlap::kTiles}) {
    if (text == name_of(overlap)) return overlap;
    known.emplace_back(name_of(overlap));
  }
  object.fail("overlap_tensor", "unknown overlap \"" + text + "\"; known: none, backward, tiles" +
                                    did_you_mean(text, known));
}

RoutingPolicy policy_of(JsonObject& object) {
  const std::string text = object.text("policy");
  std::vector<std::string> known;
  std::string names;
  for (const RoutingPolicy policy : kRoutingPolicies) {
    if (text == name_of(policy)) return policy;
    known.emplace_back(name_of(policy));
    names += (names.empty() ? "" : ", ") + known.back();
  }
  object.fail("policy", "unknown policy \"" + text + "\"; known: " + names + did_you_mean(text, known));
}

Routing routing_of(JsonObject object) {
  Routing routing;
  routing.policy = policy_of(object);
  if (object.optional("replicas_per_router"))
    routing.replicas_per_router = object.integer("replicas_per_router", 1, kLargest);
  if (object.optional("load_bound")) routing.load_bound = object.number("load_bound", 1.0);
  object.finish();
  return routing;
}

RankPlan rank_of(JsonObject object) {
  RankPlan rank;
  rank.pool = object.text("pool");
  if (object.optional("threads")) rank.threads = small_integer(object, "threads", 0, 4096);
  JsonObject share = object.object("share");
  rank.share.q_heads = range_of(share, "q_heads");
  rank.share.kv_heads = range_of(share, "kv_heads");
  rank.share.ffn = range_of(share, "ffn");
  rank.share.vocab = range_of(share, "vocab");
  rank.share.experts = range_of(share, "experts");
  share.finish();
  object.finish();
  return rank;
}

StagePlan stage_of(JsonObject object) {
  StagePlan stage;
  stage.layers = range_of(object, "layers");
  for (JsonObject& rank : object.objects("ranks")) stage.ranks.push_back(rank_of(rank));
  object.finish();
  return stage;
}

// What a plan leaves out keeps the default of its struct.
EngineLimits limits_of(JsonObject object) {
  EngineLimits limits;
  const auto read = [&](const char* key, std::int64_t low, std::int64_t& value) {
    if (object.optional(key)) value = object.integer(key, low, kLargest);
  };
  read("max_batched_tokens", 1, limits.max_batched_tokens);
  read("max_sequences", 1, limits.max_sequences);
  read("prefill_chunk", 1, limits.prefill_chunk);
  read("block_tokens", 1, limits.block_tokens);
  read("kv_blocks", 0, limits.kv_blocks);
  read("max_context", 0, limits.max_context);
  if (object.optional("memory_fraction")) {
    limits.memory_fraction = object.number("memory_fraction", 0.0, 1.0);
  }
  if (object.optional("prefix_reuse")) limits.prefix_reuse = object.boolean("prefix_reuse");
  if (object.optional("kv_offload")) limits.kv_offload = Bytes{object.number("kv_offload", 0.0, kMostHostMemory)};
  object.finish();
  return limits;
}

TrainingPlan training_of(JsonObject object, const GroupPlan& group) {
  TrainingPlan training;
  // Plans of older versions say the degree twice; it is read as long as it says the same. They wrote 1 into
  // every plan for serving.
  if (object.optional("data_parallel")) {
    const std::int64_t degree = object.integer("data_parallel", 1, kLargest);
    if (degree != group.replicas && (degree != 1 || group.role == Role::kTrain)) {
      object.fail("data_parallel", "the degree is the group's replicas, " +
                                       std::to_string(group.replicas) + ", but this says " +
                                       std::to_string(degree) +
                                       "; remove the key and set \"replicas\"");
    }
  }
  const auto small = [&](const char* key, int low, int high, int& value) {
    if (object.optional(key)) value = small_integer(object, key, low, high);
  };
  const auto count = [&](const char* key, std::int64_t low, std::int64_t high,
                         std::int64_t& value) {
    if (object.optional(key)) value = object.integer(key, low, high);
  };
  const auto flag = [&](const char* key, bool& value) {
    if (object.optional(key)) value = object.boolean(key);
  };
  small("zero_stage", 0, 3, training.zero_stage);
  small("virtual_stages", 1, 1024, training.virtual_stages);
  flag("sequence_parallel", training.sequence_parallel);
  count("context_parallel", 1, kMostRanks, training.context_parallel);
  count("expert_parallel", 1, kMostRanks, training.expert_parallel);
  count("micro_batches", 0, kLargest, training.micro_batches);
  flag("fused_attention", training.fused_attention);
  flag("portable_attention", training.portable_attention);
  flag("fused_loss", training.fused_loss);
  if (object.optional("gradient_dtype")) {
    training.gradient_dtype = dtype_of(object, "gradient_dtype");
  }
  flag("overlap_gradient_reduce", training.overlap_gradient_reduce);
  flag("overlap_parameter_gather", training.overlap_parameter_gather);
  if (object.optional("overlap_tensor")) training.overlap_tensor = overlap_of(object);
  flag("hierarchical_exchange", training.hierarchical_exchange);
  object.finish();
  return training;
}

GroupPlan group_of(JsonObject object) {
  GroupPlan group;
  group.name = object.text("name");
  if (object.optional("role")) group.role = role_of(object);
  if (object.optional("replicas")) group.replicas = object.integer("replicas", 1, kLargest);
  if (object.optional("routing_weight")) {
    group.routing_weight = object.number("routing_weight", 0.0);
  }
  group.weight_dtype = dtype_of(object, "weight_dtype");
  group.kv_dtype = dtype_of(object, "kv_dtype");
  group.activation_dtype = dtype_of(object, "activation_dtype");
  if (object.optional("power_limit_w")) group.power_limit = Watts{object.number("power_limit_w", 0.0, kMostWatts)};
  if (object.optional("limits")) group.limits = limits_of(object.object("limits"));
  if (object.optional("training")) {
    group.training = training_of(object.object("training"), group);
  }
  for (JsonObject& stage : object.objects("stages")) group.stages.push_back(stage_of(stage));
  object.finish();
  return group;
}

}  // namespace

const char* name_of(TensorOverlap overlap) {
  switch (overlap) {
    case TensorOverlap::kNone: return "none";
    case TensorOverlap::kBackward: return "backward";
    case TensorOverlap::kTiles: return "tiles";
  }
  return "";
}

const char* name_of(RoutingPolicy policy) {
  switch (policy) {
    case RoutingPolicy::kWeightedRoundRobin: return "weighted-round-robin";
    case RoutingPolicy::kRandom: return "random";
    case RoutingPolicy::kLeastOutstanding: return "least-outstanding";
    case RoutingPolicy::kPowerOfTwo: return "power-of-two";
    case RoutingPolicy::kPrefixAffinity: return "prefix-affinity";
  }
  return "";
}

std::string to_json(const Plan& plan) {
  Json groups = Json::array();
  for (const GroupPlan& group : plan.groups) groups.push_back(json_of(group));
  Json document = {{"format", kFormat}, {"version", kVersion}, {"name", plan.name}};
  if (plan.routing != Routing{}) document["routing"] = json_of(plan.routing);
  if (plan.admission.any()) document["admission"] = json_of(plan.admission);
  document["groups"] = std::move(groups);
  std::string out;
  print(document, 0, out);
  out += "\n";
  return out;
}

Plan plan_from_json(std::string_view text, const std::string& where) {
  const nlohmann::json document = parse_json(text, where);
  JsonObject root(document, "", where);
  root.format(kFormat, kVersion, kVersion);
  Plan plan;
  plan.name = root.text("name");
  if (root.optional("made_for")) static_cast<void>(root.text("made_for"));  // scenarios/made_for.h
  if (root.optional("routing")) plan.routing = routing_of(root.object("routing"));
  if (root.optional("admission")) plan.admission = admission_of(root.object("admission"));
  for (JsonObject& group : root.objects("groups")) plan.groups.push_back(group_of(group));
  root.finish();
  return plan;
}

}  // namespace lindos
