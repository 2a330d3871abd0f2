// SPDX-License-Identifier: Apache-2.0
#include "exec/probe/stage_bench.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "exec/checkpoint/checkpoint.h"
#include "exec/runner/rank_worker.h"
#include "kernels/attention.h"

namespace lindos::exec {

namespace {

constexpr std::int64_t kStarts = 61;  // rows at which a call may begin; a prime, so that calls of any size visit them all

std::int64_t pages_of(const StageShape& shape) {
  return (shape.context + shape.tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
}

std::vector<int> threads_of_copies(const GroupPlan& group, int stage, int copies, int cores) {
  std::vector<int> threads;
  const auto ranks = static_cast<int>(group.stages.at(static_cast<std::size_t>(stage)).ranks.size());
  for (int copy = 0; copy < copies; ++copy) {
    for (int r = 0; r < ranks; ++r) threads.push_back(threads_of(group, {stage, r}, cores));
  }
  return threads;
}

StepInput input_of(const StageShape& shape) {
  StepInput input;
  const std::int64_t pages = pages_of(shape);
  input.blocks.resize(static_cast<std::size_t>(pages * shape.sequences));
  std::iota(input.blocks.begin(), input.blocks.end(), 0);
  for (std::int64_t s = 0; s < shape.sequences; ++s) {
    input.slices.push_back({shape.context, shape.tokens, s * shape.tokens, input.blocks.data() + s * pages});
    for (std::int64_t t = 0; t < shape.tokens; ++t) input.positions.push_back(shape.context + t);
  }
  return input;
}

}  // namespace

StageBench::StageBench(const Model& model, const GroupPlan& group, int stage, int copies, int cores,
                       std::int64_t layers, const std::vector<StageShape>& shapes)
    : team_(threads_of_copies(group, stage, copies, cores)), hidden_(model.hidden) {
  // The stage as the middle one of three: no embedding, no LM head.
  const StagePlan& planned = group.stages.at(static_cast<std::size_t>(stage));
  Model cut = model;
  cut.layers = layers + 2;
  if (!model.sliding_window.empty()) {
    const auto first = model.sliding_window.begin() + planned.layers.begin;
    cut.sliding_window.assign(first, first + layers);
    cut.sliding_window.insert(cut.sliding_window.begin(), 0);
    cut.sliding_window.push_back(0);
  }
  GroupPlan middle = group;
  middle.stages = {{{0, 1}, planned.ranks}, {{1, layers + 1}, planned.ranks}, {{layers + 1, layers + 2}, planned.ranks}};
  middle.limits.max_batched_tokens = 1;
  // The stage's first layer is the second of three: those with experts stay where they are.
  cut.moe.first_dense_layers = model.moe.first_dense_layers - static_cast<int>(planned.layers.begin) + 1;
  std::int64_t positions = 1;
  std::int64_t blocks = 1;
  for (const StageShape& shape : shapes) {
    middle.limits.max_batched_tokens = std::max(middle.limits.max_batched_tokens, shape.sequences * shape.tokens);
    positions = std::max(positions, shape.context + shape.tokens);
    blocks = std::max(blocks, shape.sequences * pages_of(shape));
  }
  rows_.resize(static_cast<std::size_t>((middle.limits.max_batched_tokens + kStarts) * hidden_));
  std::uint32_t state = 2463534242U;
  for (float& value : rows_) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8U) / 16777216.0F * 64.0F - 32.0F;
  }

  const auto ranks = static_cast<int>(planned.ranks.size());
  const auto checkpoint = make_synthetic(cut, 1, group.weight_dtype);
  ranks_.resize(static_cast<std::size_t>(copies * ranks));
  for (int copy = 0; copy < copies; ++copy) {
    std::vector<std::unique_ptr<Communicator>> groups;
    if (ranks == 1) {
      groups.push_back(make_single_communicator());
    } else {
      groups = make_thread_communicators(ranks);
    }
    for (int r = 0; r < ranks; ++r) {
      Rank& rank = ranks_[static_cast<std::size_t>(copy * ranks + r)];
      rank.tensor_group = std::move(groups[static_cast<std::size_t>(r)]);
      rank.model = std::make_unique<RankModel>(cut, middle, ShardId{1, r}, *checkpoint, blocks, 0, positions,
                                               team_.pool(copy * ranks + r), *rank.tensor_group, rank.timer);
    }
  }
}

BenchTeam::Call StageBench::call(const StageShape& shape) {
  return [this, input = std::make_shared<const StepInput>(input_of(shape))](int rank, kernels::CpuPool&, std::int64_t iteration) {
    RankModel& model = *ranks_[static_cast<std::size_t>(rank)].model;
    const std::int64_t first = (iteration * input->rows()) % kStarts * hidden_;
    std::copy_n(rows_.begin() + first, input->rows() * hidden_, model.residual(input->rows()).begin());
    model.layers(*input);
  };
}

}  // namespace lindos::exec
