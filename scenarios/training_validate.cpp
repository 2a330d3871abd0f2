// SPDX-License-Identifier: Apache-2.0
// What a training plan may not ask for, each with the nearest feasible choice.
#include <algorithm>
#include <cstddef>
#include <functional>
#include <string>

#include "scenarios/plan_place.h"
#include "scenarios/training_plan.h"

namespace lindos {
namespace {

std::string text(std::int64_t value) { return std::to_string(value); }

// "4 or 16": the nearest degrees below and above `degree` for which `works`; 1 always does.
std::string nearest_degrees(std::int64_t degree, std::int64_t highest,
                            const std::function<bool(std::int64_t)>& works) {
  std::int64_t below = degree - 1;
  while (below > 1 && !works(below)) --below;
  std::int64_t above = degree + 1;
  while (above <= highest && !works(above)) ++above;
  return text(below) + (above <= highest ? " or " + text(above) : "");
}

void check_formats(const GroupPlan& group, const Place& place) {
  const auto is_one_of = [](Dtype dtype, std::initializer_list<Dtype> known) {
    return std::find(known.begin(), known.end(), dtype) != known.end();
  };
  place.at("weight_dtype")
      .require(is_one_of(group.weight_dtype,
                         {Dtype::kF32, Dtype::kF16, Dtype::kBf16, Dtype::kFp8}),
               "training in " + std::string(name_of(group.weight_dtype)) +
                   " is not described; expected bf16, f16, f32 or fp8");
  place.at("training")
      .at("gradient_dtype")
      .require(is_one_of(group.training.gradient_dtype, {Dtype::kF32, Dtype::kBf16, Dtype::kF16}),
               "gradients in " + std::string(name_of(group.training.gradient_dtype)) +
                   " are too coarse to be summed; expected f32, bf16 or f16");
}

void check_sequence(const GroupPlan& group, const TrainingWorkload& training, const Place& place) {
  const std::int64_t ranks = group.training.context_parallel;
  const Place context = place.at("training").at("context_parallel");
  const std::int64_t pieces = 2 * ranks;
  if (ranks > 1 && training.sequence % pieces != 0) {
    const std::int64_t below = training.sequence / pieces * pieces;
    context.fail("every context rank takes two pieces of a sequence, but " + text(pieces) +
                 " do not divide " + text(training.sequence) + " tokens; the nearest degree is " +
                 nearest_degrees(ranks, std::min<std::int64_t>(training.sequence / 2, 65'536),
                                 [&](std::int64_t n) { return training.sequence % (2 * n) == 0; }) +
                 ", the nearest sequence " + (below > 0 ? text(below) + " or " : "") +
                 text(below + pieces));
  }
  context.require(ranks == 1 || group.training.fused_attention,
                  "the attention ring needs fused_attention = true; or context_parallel = 1");
  if (!group.training.sequence_parallel) return;
  const std::int64_t own = training.sequence / ranks;
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const auto tensor = static_cast<std::int64_t>(group.stages[s].ranks.size());
    if (own % tensor == 0) continue;
    place.at("training").at("sequence_parallel")
        .fail("the " + text(tensor) + " ranks of stage " + text(static_cast<std::int64_t>(s)) +
              " do not divide the " + text(own) + " tokens of a sequence; the nearest degree is " +
              nearest_degrees(tensor, own, [&](std::int64_t n) { return own % n == 0; }) +
              ", or set it to false");
  }
}

void check_ranks(const GroupPlan& group, const Model& model, const Place& place) {
  for (std::size_t s = 0; s < group.stages.size(); ++s) {
    const auto& ranks = group.stages[s].ranks;
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      place.at("stages").at(s).at("ranks").at(r).at("share").at("q_heads").require(
          !ranks[r].share.q_heads.empty(),
          "this tensor rank has no query head and would only wait; the model's " +
              text(model.q_heads) + " heads allow at most " + text(model.q_heads) +
              " tensor ranks, each with at least one");
    }
  }
}

void check_experts(const GroupPlan& group, const Model& model, const Place& place) {
  const std::int64_t degree = group.training.expert_parallel;
  if (degree == 1) return;
  const Place experts = place.at("training").at("expert_parallel");
  experts.require(model.is_moe(), "a dense model has no experts to deal out; expected 1");
  const std::int64_t ranks = group.replicas * group.training.context_parallel;
  experts.require(ranks % degree == 0,
                  "experts are dealt out over replicas × context ranks = " + text(ranks) +
                      ", which " + text(degree) + " does not divide; the nearest degree is " +
                      nearest_degrees(degree, std::min<std::int64_t>(ranks, model.moe.experts),
                                      [&](std::int64_t n) { return ranks % n == 0; }));
  for (const StagePlan& stage : group.stages) {
    for (const RankPlan& rank : stage.ranks) {
      const std::int64_t held = rank.share.experts.size();
      experts.require(held % degree == 0,
                      text(degree) + " ranks cannot share " + text(held) +
                          " experts out evenly; the nearest degree is " +
                          nearest_degrees(degree, held,
                                          [&](std::int64_t n) { return held % n == 0; }));
    }
  }
}

// "chunks of 2, 2, 1 layers" would be legal; a chunk without a layer is not.
void check_chunks(const GroupPlan& group, const Model& model, const Place& place) {
  const std::int64_t chunks = group.training.virtual_stages;
  if (chunks == 1) return;
  const auto stages = static_cast<std::int64_t>(group.stages.size());
  const Place virtual_stages = place.at("training").at("virtual_stages");
  virtual_stages.require(stages > 1, "interleaving needs at least two stages; expected 1");
  std::int64_t fewest = model.layers;
  for (const StagePlan& stage : group.stages) fewest = std::min(fewest, stage.layers.size());
  virtual_stages.require(
      fewest >= chunks,
      text(stages) + " stages × " + text(chunks) + " chunks need " + text(stages * chunks) +
          " layers; the model's " + text(model.layers) + " leave " + text(fewest) +
          " to the shortest stage: at most " + text(fewest) + " chunks");
}

// Σ replicas × micro-batches × micro_batch = global_batch.
void check_batch(const Plan& plan, const TrainingWorkload& training, const Place& groups) {
  const std::int64_t batch = training.global_batch / training.micro_batch;
  std::int64_t stated = 0;   // micro-batches of the groups that say how many
  std::int64_t sharing = 0;  // replicas of the groups that do not
  std::size_t first_sharing = 0;
  for (std::size_t g = plan.groups.size(); g-- > 0;) {
    const GroupPlan& group = plan.groups[g];
    const std::int64_t each = std::max<std::int64_t>(1, group.training.micro_batches);
    groups.at(g).at("replicas").require(
        group.replicas <= batch && each <= batch / group.replicas,
        text(group.replicas) + " replicas with at least " + text(each) +
            (each == 1 ? " micro-batch" : " micro-batches") + " each exceed the " + text(batch) +
            " micro-batches of " + text(training.micro_batch) + " in a global batch of " +
            text(training.global_batch) + "; at most " +
            text(std::max<std::int64_t>(1, batch / each)) + " replicas");
    if (group.training.micro_batches > 0) {
      stated += group.replicas * group.training.micro_batches;
    } else {
      sharing += group.replicas;
      first_sharing = g;
    }
  }
  const std::int64_t rest = batch - stated;
  const auto sequences = [&](std::int64_t micro_batches) {
    return text(micro_batches * training.micro_batch);
  };
  if (sharing == 0) {
    groups.at(std::size_t{0}).at("training").at("micro_batches").require(
        rest == 0, "the groups' replicas × micro_batches × micro_batch are " + sequences(stated) +
                       " sequences, the global batch is " + text(training.global_batch) +
                       "; set it to " + sequences(stated));
    return;
  }
  if (rest > 0 && rest % sharing == 0) return;
  const std::int64_t each = std::max<std::int64_t>(0, rest) / sharing;
  const std::int64_t above = stated + (each + 1) * sharing;
  groups.at(first_sharing).at("training").at("micro_batches").fail(
      text(sharing) + " replicas cannot share " + text(rest) + " micro-batches of " +
      text(training.micro_batch) + " out evenly; the nearest global batch is " +
      (each > 0 ? sequences(stated + each * sharing) + " or " : "") + sequences(above));
}

}  // namespace

void validate_training(const Plan& plan, const Model& model, const TrainingWorkload& training,
                       const std::string& where) {
  const Place groups(where, "/groups");
  for (std::size_t g = 0; g < plan.groups.size(); ++g) {
    const GroupPlan& group = plan.groups[g];
    const Place place = groups.at(g);
    place.at("role").require(group.role == Role::kTrain,
                             "the workload is training; expected \"train\"");
    check_formats(group, place);
    check_sequence(group, training, place);
    check_ranks(group, model, place);
    check_experts(group, model, place);
    check_chunks(group, model, place);
  }
  check_batch(plan, training, groups);
}

}  // namespace lindos
