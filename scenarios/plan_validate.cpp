// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <set>
#include <string>

#include "scenarios/balance.h"
#include "scenarios/error.h"
#include "scenarios/plan_json.h"
#include "scenarios/plan_place.h"

namespace lindos {
namespace {

std::string text(const Range& range) {
  return "[" + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
}

using ShareField = Range TensorShare::*;

// The ranks' ranges of one field follow each other and cover [0, total).
void check_partition(const StagePlan& stage, const Place& ranks, ShareField field,
                     const std::string& name, std::int64_t total) {
  std::int64_t expected = 0;
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    const Range range = stage.ranks[r].share.*field;
    const Place place = ranks.at(r).at("share").at(name);
    const bool last = r + 1 == stage.ranks.size();
    if (range.begin != expected) {
      place.fail(text(range) + " does not follow the ranks before it, which end at " +
                 std::to_string(expected) + "; begin there (an empty share is [" +
                 std::to_string(expected) + ", " + std::to_string(expected) + "))");
    }
    place.require(range.end >= range.begin, text(range) + " ends before it begins");
    place.require(range.end <= total,
                  text(range) + " reaches beyond the model's " + std::to_string(total));
    if (last && range.end != total) {
      place.fail(text(range) + " leaves [" + std::to_string(range.end) + ", " +
                 std::to_string(total) + ") to no rank; end at " + std::to_string(total));
    }
    expected = range.end;
  }
}

void check_kv_heads(const StagePlan& stage, const Place& ranks, const Model& model) {
  const std::int64_t group = std::max<std::int64_t>(1, model.group());
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    const TensorShare& share = stage.ranks[r].share;
    const Range needed = kv_heads_of(share.q_heads, group);
    const bool fits = share.q_heads.empty() ? share.kv_heads.empty() : share.kv_heads == needed;
    ranks.at(r).at("share").at("kv_heads").require(
        fits, text(share.kv_heads) + " does not cover q heads " + text(share.q_heads) + " of " +
                  std::to_string(group) + " per KV head; expected " + text(needed));
  }
}

void check_experts(const StagePlan& stage, const Place& ranks, const Model& model) {
  const Range all{0, model.moe.experts};
  const bool columns = std::all_of(stage.ranks.begin(), stage.ranks.end(), [&](const RankPlan& r) {
    return r.share.experts == all;
  });
  // Every rank with all experts means that their columns are cut like the FFN's.
  if (!columns) check_partition(stage, ranks, &TensorShare::experts, "experts", all.end);
}

void check_stage(const StagePlan& stage, const Place& place, const Model& model, bool vocabulary) {
  const Place ranks = place.at("ranks");
  ranks.require(!stage.ranks.empty(), "a stage needs at least one rank");
  for (std::size_t r = 0; r < stage.ranks.size(); ++r) {
    ranks.at(r).at("pool").require(!stage.ranks[r].pool.empty(), "names no pool");
    ranks.at(r).at("threads").require(stage.ranks[r].threads >= 0,
                                      "expected 0 (even split of the cores) or more");
  }
  check_partition(stage, ranks, &TensorShare::q_heads, "q_heads", model.q_heads);
  check_kv_heads(stage, ranks, model);
  check_partition(stage, ranks, &TensorShare::ffn, "ffn", model.ffn);
  check_experts(stage, ranks, model);
  if (vocabulary) check_partition(stage, ranks, &TensorShare::vocab, "vocab", model.vocab);
}

void check_limits(const EngineLimits& limits, const Place& place, const Model& model) {
  const auto positive = [&](const char* key, std::int64_t value) {
    place.at(key).require(value >= 1, "expected at least 1, saw " + std::to_string(value));
  };
  positive("max_batched_tokens", limits.max_batched_tokens);
  positive("max_sequences", limits.max_sequences);
  positive("prefill_chunk", limits.prefill_chunk);
  positive("block_tokens", limits.block_tokens);
  place.at("kv_blocks").require(limits.kv_blocks >= 0,
                                "expected 0 (by the capacity rule) or more, saw " +
                                    std::to_string(limits.kv_blocks));
  place.at("prefill_chunk")
      .require(limits.prefill_chunk <= limits.max_batched_tokens,
               std::to_string(limits.prefill_chunk) + " tokens of one prompt exceed the step's " +
                   std::to_string(limits.max_batched_tokens) + "; at most that many");
  place.at("max_context")
      .require(limits.max_context >= 0 && limits.max_context <= model.max_positions,
               "expected 0 (the model's) to " + std::to_string(model.max_positions) + ", saw " +
                   std::to_string(limits.max_context));
  place.at("kv_offload")
      .require(limits.kv_offload == Bytes{0} || limits.prefix_reuse,
               "host memory keeps what prompts that begin alike reuse; set prefix_reuse");
  place.at("memory_fraction")
      .require(limits.memory_fraction > 0.0 && limits.memory_fraction <= 1.0,
               "expected a share above 0 and at most 1, saw " +
                   std::to_string(limits.memory_fraction));
}

void check_layers(const GroupPlan& group, const Place& stages, const Model& model) {
  std::int64_t expected = 0;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const Range layers = group.stages[s].layers;
    const Place place = stages.at(s).at("layers");
    place.require(layers.begin == expected,
                  text(layers) + " does not follow the stages before it, which end at layer " +
                      std::to_string(expected) + "; begin there");
    place.require(!layers.empty(), text(layers) + " holds no layer; a stage needs at least one");
    place.require(layers.end <= model.layers, text(layers) + " reaches beyond the model's " +
                                                  std::to_string(model.layers) + " layers");
    expected = layers.end;
  }
  stages.at(group.stages.size() - 1)
      .at("layers")
      .require(expected == model.layers, "the last stage ends at layer " +
                                             std::to_string(expected) + ", the model has " +
                                             std::to_string(model.layers) + "; end there");
}

void check_group(const GroupPlan& group, const Place& place, const Model& model) {
  place.at("replicas").require(group.replicas >= 1, "expected at least 1");
  place.at("routing_weight")
      .require(std::isfinite(group.routing_weight) && group.routing_weight >= 0.0,
               "expected a finite weight of 0 or more");
  const std::string weights_only = "fp4 is a format for weights only; fp8 is the narrowest here";
  place.at("activation_dtype").require(group.activation_dtype != Dtype::kFp4, weights_only);
  place.at("kv_dtype").require(group.kv_dtype != Dtype::kFp4, weights_only);
  const TrainingPlan& training = group.training;
  const Place training_place = place.at("training");
  training_place.at("zero_stage")
      .require(training.zero_stage >= 0 && training.zero_stage <= 3, "expected 0, 1, 2 or 3");
  training_place.at("virtual_stages").require(training.virtual_stages >= 1, "expected at least 1");
  training_place.at("context_parallel")
      .require(training.context_parallel >= 1, "expected at least 1");
  training_place.at("expert_parallel")
      .require(training.expert_parallel >= 1, "expected at least 1");
  training_place.at("micro_batches")
      .require(training.micro_batches >= 0, "expected 0 (its share of the global batch) or more");
  check_limits(group.limits, place.at("limits"), model);
  const Place stages = place.at("stages");
  stages.require(!group.stages.empty(), "a group needs at least one stage");
  check_layers(group, stages, model);
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    // In training the ranks of the first stage share the embedding out like those of the last the head.
    const bool vocabulary =
        s + 1 == group.stages.size() || (s == 0 && group.role == Role::kTrain);
    check_stage(group.stages[s], stages.at(s), model, vocabulary);
  }
}

}  // namespace

void validate_plan(const Plan& plan, const Model& model, const std::string& where) {
  const Place routing(where, "/routing");
  routing.at("replicas_per_router").require(plan.routing.replicas_per_router >= 1, "expected at least 1");
  routing.at("load_bound")
      .require(std::isfinite(plan.routing.load_bound) && plan.routing.load_bound >= 1.0,
               "expected a finite bound of 1 or more");
  const Place groups(where, "/groups");
  groups.require(!plan.groups.empty(), "a plan needs at least one group");
  groups.require(std::any_of(plan.groups.begin(), plan.groups.end(),
                             [](const GroupPlan& g) { return g.role == Role::kTrain || g.routing_weight > 0.0; }),
                 "no group has a routing_weight above 0, so that no request could be served");
  std::set<std::string> names;
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    const Place place = groups.at(g);
    place.at("name").require(!plan.groups[g].name.empty(), "a group needs a name");
    place.at("name").require(names.insert(plan.groups[g].name).second,
                             "two groups are named \"" + plan.groups[g].name + "\"");
    check_group(plan.groups[g], place, model);
  }
}

}  // namespace lindos
