// SPDX-License-Identifier: Apache-2.0
#include "scenarios/training_plan.h"

#include <algorithm>
#include <cstddef>

#include "scenarios/error.h"

namespace lindos {
namespace {

// Layers of one chunk: ⌊n/v⌋, or one more.
std::int64_t layers_in_chunk(const GroupPlan& group, std::size_t stage, std::int64_t chunk) {
  const std::int64_t chunks = group.training.virtual_stages;
  const std::int64_t layers = group.stages[stage].layers.size();
  const std::int64_t longer = layers % chunks;
  const bool one_more = stage == 0 ? chunk >= chunks - longer : chunk < longer;
  return layers / chunks + (one_more ? 1 : 0);
}

}  // namespace

std::int64_t micro_batches_of(const Plan& plan, const GroupPlan& group,
                              const TrainingWorkload& training) {
  if (group.training.micro_batches > 0) return group.training.micro_batches;
  std::int64_t left = training.global_batch / training.micro_batch;
  std::int64_t sharing = 0;
  for (const GroupPlan& other : plan.groups) {
    left -= other.replicas * other.training.micro_batches;
    if (other.training.micro_batches == 0) sharing += other.replicas;
  }
  LINDOS_ASSERT(sharing > 0, "the group is one of the plan's");
  return left / sharing;
}

std::int64_t parameter_copies(const Plan& plan) {
  std::int64_t copies = 0;
  for (const GroupPlan& group : plan.groups) {
    copies += group.replicas * group.training.context_parallel;
  }
  return copies;
}

Range chunk_layers(const GroupPlan& group, int stage, int chunk) {
  const auto own = static_cast<std::size_t>(stage);
  LINDOS_ASSERT(own < group.stages.size() && chunk < group.training.virtual_stages,
                "the plan has no such chunk");
  if (group.training.virtual_stages == 1) return group.stages[own].layers;
  std::int64_t begin = 0;
  for (int c = 0; c <= chunk; ++c) {
    const std::size_t end = c < chunk ? group.stages.size() : own;
    for (std::size_t s = 0; s < end; ++s) begin += layers_in_chunk(group, s, c);
  }
  return {begin, begin + layers_in_chunk(group, own, chunk)};
}

std::int64_t in_flight(const GroupPlan& group, std::int64_t micro_batches, int stage, int chunk) {
  const auto stages = static_cast<std::int64_t>(group.stages.size());
  const std::int64_t chunks = group.training.virtual_stages;
  const std::int64_t after = stages - 1 - stage;
  if (chunks == 1) return std::min(micro_batches, after + 1);
  // A ragged last group of micro-batches goes forward as a whole before anything comes back.
  if (micro_batches % stages != 0) return micro_batches;
  // Passes before the first backward pass, and the one that it waits for. They go through the chunks in groups of
  // `stages` micro-batches.
  const std::int64_t passes = std::min(micro_batches * chunks, 2 * after + (chunks - 1) * stages + 1);
  const std::int64_t rounds = passes / (chunks * stages);
  const std::int64_t rest = passes % (chunks * stages) - chunk * stages;
  return rounds * stages + std::clamp<std::int64_t>(rest, 0, stages);
}

}  // namespace lindos
