// SPDX-License-Identifier: Apache-2.0
#include <cmath>
#include <memory>
#include <numeric>
#include <tuple>
#include <vector>

#include "exec/model/weight_type.h"
#include "exec/probe/probe_parts.h"
#include "kernels/attention.h"

namespace lindos::exec {

namespace {

struct Shape {
  std::int64_t sequences, tokens, context;
};

// Decode: batch × context. Prefill: one slice of `tokens` after `context`.
constexpr Shape kShapes[] = {
    {1, 1, 16},    {1, 1, 64},    {1, 1, 256},   {1, 1, 1024},  {4, 1, 16},    {4, 1, 64},   {4, 1, 256},
    {4, 1, 1024},  {16, 1, 16},   {16, 1, 64},   {16, 1, 256},  {16, 1, 1024}, {32, 1, 64},  {32, 1, 256},
    {1, 16, 0},    {1, 64, 0},    {1, 128, 0},   {1, 256, 0},   {1, 512, 0},   {1, 1024, 0}, {1, 64, 256},
    {1, 256, 256}, {1, 64, 1024}, {1, 256, 768}, {1, 512, 512},
};

}  // namespace

void ProbeSession::attention_of(const GroupPlan& group, const TensorShare& share, RankLayout layout) {
  const Model& model = request_->model;
  const std::int64_t d = model.head_dim;
  const std::int64_t q_heads = share.q_heads.size();
  const std::int64_t kv_heads = share.kv_heads.size();
  const std::int64_t limit = model.max_positions;
  const kernels::WeightType type = weight_type_or_throw(group.kv_dtype, "KV dtype", "probe");
  const std::size_t page = static_cast<std::size_t>(kv_heads * d * kernels::kPageTokens * bytes_of(type));
  for (const Shape& shape : kShapes) {
    if (shape.context + shape.tokens > limit || shape.tokens > group.limits.max_batched_tokens) continue;
    const std::int64_t pages_each = (shape.context + shape.tokens + kernels::kPageTokens - 1) / kernels::kPageTokens;
    const std::int64_t pages = pages_each * shape.sequences;
    const std::size_t layer = 2 * page * static_cast<std::size_t>(pages);
    const std::int64_t rows = shape.sequences * shape.tokens;
    const std::int64_t width = (q_heads + 2 * kv_heads) * d;
    ColdRegion& region = cold(type);
    region.grow(layout.active_ranks, layer);
    struct Operands {
      std::vector<std::int32_t> blocks;
      std::vector<kernels::AttentionSlice> slices;
      std::vector<AlignedBuffer> q, out;
    };
    auto operands = std::make_shared<Operands>();
    operands->blocks.resize(static_cast<std::size_t>(pages));
    std::iota(operands->blocks.begin(), operands->blocks.end(), 0);
    for (std::int64_t s = 0; s < shape.sequences; ++s) {
      operands->slices.push_back({shape.context, shape.tokens, s * shape.tokens, operands->blocks.data() + s * pages_each});
    }
    for (int r = 0; r < layout.active_ranks; ++r) {
      operands->q.emplace_back(static_cast<std::size_t>(rows * width) * sizeof(float));
      operands->out.emplace_back(static_cast<std::size_t>(rows * q_heads * d) * sizeof(float));
      for (std::int64_t i = 0; i < rows * width; ++i) {
        operands->q.back().floats()[i] = static_cast<float>(i % 23) * 0.05F - 0.5F;
      }
    }
    kernels::AttentionShape attention_shape;
    attention_shape.q_heads = q_heads;
    attention_shape.group = model.group();
    attention_shape.q_head_offset = share.q_heads.begin - model.group() * share.kv_heads.begin;
    attention_shape.scale = 1.0 / std::sqrt(static_cast<double>(d));
    const std::size_t half = page * static_cast<std::size_t>(pages);
    add_task(
        layout,
        [=, &region, ranks = layout.active_ranks](int rank, kernels::CpuPool& pool, std::int64_t iteration) {
          const auto r = static_cast<std::size_t>(rank);
          std::byte* base = region.at(rank, ranks, iteration, layer);
          const kernels::KvView view{base, base + half, type, kv_heads, d};
          kernels::attention(pool, view, attention_shape, operands->slices.data(), shape.sequences,
                             operands->q[r].floats(), width, operands->out[r].floats(), q_heads * d);
        },
        [=, this](const Timing& t) {
          profile_->attention.push_back({group.kv_dtype, shape.sequences, shape.tokens, shape.context, q_heads,
                                         kv_heads, d, layout.threads, layout.active_ranks, t.time, t.spread});
        });
  }
}

void ProbeSession::attention() {
  using Key = std::tuple<RankLayout, Dtype, std::int64_t, std::int64_t, std::int64_t>;
  std::set<Key> seen;
  for (const GroupPlan& group : request_->groups) {
    for (const StagePlan& stage : group.stages) {
      for (const RankPlan& rank : stage.ranks) {
        const TensorShare& share = rank.share;
        if (share.q_heads.empty()) continue;
        const std::int64_t offset = share.q_heads.begin - request_->model.group() * share.kv_heads.begin;
        for (const RankLayout& layout : layouts_of(group)) {
          if (!seen.insert({layout, group.kv_dtype, share.q_heads.size(), share.kv_heads.size(), offset}).second) continue;
          attention_of(group, share, layout);
        }
      }
    }
  }
}

}  // namespace lindos::exec
