// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <tuple>
#include <vector>

#include "exec/model/rope_table.h"
#include "exec/model/weight_type.h"
#include "exec/probe/probe_parts.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/kv_copy.h"
#include "kernels/moe.h"
#include "scenarios/ops.h"

namespace lindos::exec {

namespace {

constexpr std::int64_t kTokens[] = {1, 4, 16, 64, 256};

// Buffers of one rank for the byte-bound kernels at `tokens` rows.
struct StreamBuffers {
  StreamBuffers(const Model& model, const TensorShare& share, std::int64_t tokens, const Op& activation)
      : hidden(floats(tokens * model.hidden)),
        normed(floats(tokens * model.hidden)),
        qkv(floats(tokens * (share.q_heads.size() + 2 * share.kv_heads.size()) * model.head_dim)),
        gate_up(floats(activation.tokens * 2 * activation_width(activation))),
        activated(floats(activation.tokens * activation_width(activation))),
        pages(static_cast<std::size_t>(2 * (tokens / kernels::kPageTokens + 1) * share.kv_heads.size() *
                                       model.head_dim * kernels::kPageTokens) *
              sizeof(float)) {}
  // Gate and up are read, their product is written.
  static std::int64_t activation_width(const Op& op) {
    return op.tokens == 0 ? 0 : std::llround(op.activation_bytes.value() / (3.0 * sizeof(float) * static_cast<double>(op.tokens)));
  }
  static std::size_t floats(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }
  AlignedBuffer hidden, normed, qkv, gate_up, activated, pages;
};

// Of the first activation, dense or of experts; without columns a rank has none.
Op activation_of(const std::vector<Op>& ops) {
  const auto found = std::find_if(ops.begin(), ops.end(), [](const Op& op) { return op.kind == OpKind::kActivation; });
  return found == ops.end() ? Op{} : *found;
}

// Router, choice and rows in the order of experts, of `tokens` rows that differ.
struct RouteBuffers {
  RouteBuffers(const Model& model, const TensorShare& share, std::int64_t tokens)
      : x(static_cast<std::size_t>(tokens * model.hidden)),
        scores(static_cast<std::size_t>(tokens * model.moe.experts)),
        ids(static_cast<std::size_t>(tokens * model.moe.top_k)),
        mix(ids.size()),
        in(static_cast<std::size_t>(tokens * std::min<std::int64_t>(model.moe.top_k, share.experts.size()) * model.hidden)) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i * 2654435761U % 1021U) / 510.0F - 1.0F;
    rows.reserve(tokens, model.moe.top_k, share.experts.size());
  }
  std::vector<float> x, scores;
  std::vector<std::int32_t> ids;
  std::vector<float> mix;
  kernels::ExpertRows rows;
  std::vector<float> in;
};

}  // namespace

void ProbeSession::route_of(const GroupPlan& group, const TensorShare& share, RankLayout layout, const Op& op) {
  const Model& model = request_->model;
  const std::int64_t tokens = op.tokens;
  const auto buffers = std::make_shared<std::vector<RouteBuffers>>();
  for (int r = 0; r < layout.active_ranks; ++r) buffers->emplace_back(model, share, tokens);
  const kernels::WeightType type = weight_type_or_throw(group.weight_dtype, "weight dtype", "probe");
  const std::size_t bytes = kernels::packed_bytes(type, model.moe.experts, model.hidden);
  ColdRegion& region = cold(type);
  region.grow(layout.active_ranks, bytes);
  add_task(
      layout,
      [buffers, &region, type, bytes, tokens, share, moe = model.moe, h = model.hidden, ranks = layout.active_ranks](
          int rank, kernels::CpuPool& pool, std::int64_t iteration) {
        RouteBuffers& b = (*buffers)[static_cast<std::size_t>(rank)];
        const kernels::PackedWeights router{region.at(rank, ranks, iteration, bytes), type, moe.experts, h};
        kernels::gemm(pool, router, b.x.data(), h, tokens, b.scores.data(), moe.experts, false);
        kernels::route(pool, b.scores.data(), moe.experts, tokens, moe.experts, moe.top_k, moe.normalise_top_k, b.ids.data(),
                       b.mix.data());
        kernels::group_by_expert(b.ids.data(), tokens, moe.top_k, share.experts.begin, share.experts.size(), b.rows);
        kernels::gather_rows(pool, b.rows, b.x.data(), h, h, b.in.data());
      },
      [this, layout, moved = op.bytes()](const Timing& t) {
        profile_->stream.push_back({name_of(OpKind::kMoeRoute), moved, layout.threads, layout.active_ranks, t.time, t.spread});
      });
}

void ProbeSession::stream_of(const GroupPlan& group, ShardId shard, RankLayout layout) {
  const Model& model = request_->model;
  const TensorShare& share = group.stages[static_cast<std::size_t>(shard.stage)].ranks[static_cast<std::size_t>(shard.rank)].share;
  const std::int64_t h = model.hidden;
  const std::int64_t d = model.head_dim;
  const std::int64_t q_heads = share.q_heads.size();
  const std::int64_t kv_heads = share.kv_heads.size();
  const std::int64_t width = (q_heads + 2 * kv_heads) * d;
  const kernels::WeightType kv_type = weight_type_or_throw(group.kv_dtype, "KV dtype", "probe");
  const double eps = model.rms_eps;
  const auto rope = std::make_shared<const RopeTable>(make_rope_table(model, 512));
  const auto gain = std::make_shared<const std::vector<float>>(static_cast<std::size_t>(h), 1.0F);

  for (const std::int64_t tokens : kTokens) {
    if (tokens > group.limits.max_batched_tokens) continue;
    struct Operands {
      std::vector<StreamBuffers> buffers;   // per rank
      std::vector<std::int64_t> positions;
      std::vector<std::int32_t> blocks;
    };
    const auto operands = std::make_shared<Operands>();
    const std::vector<Op> ops = step_ops(model, group, shard, {{0, tokens, true}});
    const Op activation = activation_of(ops);
    for (int r = 0; r < layout.active_ranks; ++r) operands->buffers.emplace_back(model, share, tokens, activation);
    operands->positions.resize(static_cast<std::size_t>(tokens));
    std::iota(operands->positions.begin(), operands->positions.end(), 0);
    operands->blocks.resize(static_cast<std::size_t>(tokens / kernels::kPageTokens + 1));
    std::iota(operands->blocks.begin(), operands->blocks.end(), 0);
    const kernels::AttentionSlice slice{0, tokens, 0, operands->blocks.data()};

    const auto sample_of = [&](OpKind kind, const Op& op, BenchTeam::Call call) {
      add_task(layout, std::move(call), [this, layout, name = name_of(kind), bytes = op.bytes()](const Timing& t) {
        profile_->stream.push_back({name, bytes, layout.threads, layout.active_ranks, t.time, t.spread});
      });
    };
    const auto timed = [&](const Op& op) {
      switch (op.kind) {
        case OpKind::kNorm:
          sample_of(op.kind, op, [=](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = operands->buffers[static_cast<std::size_t>(rank)];
            kernels::rmsnorm(pool, b.hidden.floats(), h, gain->data(), eps, tokens, h, b.normed.floats(), h);
          });
          return true;
        case OpKind::kResidual:
          sample_of(op.kind, op, [=](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = operands->buffers[static_cast<std::size_t>(rank)];
            kernels::residual_add(pool, b.hidden.floats(), h, b.normed.floats(), h, nullptr, tokens, h);
          });
          return true;
        case OpKind::kActivation:
          sample_of(op.kind, op, [=, rows = op.tokens, f = StreamBuffers::activation_width(op)](
                                     int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = operands->buffers[static_cast<std::size_t>(rank)];
            kernels::swiglu(pool, b.gate_up.floats(), 2 * f, rows, f, b.activated.floats(), f);
          });
          return true;
        case OpKind::kMoeRoute:
          route_of(group, share, layout, op);
          return true;
        case OpKind::kRopeKvWrite:
          sample_of(op.kind, op, [=](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = operands->buffers[static_cast<std::size_t>(rank)];
            kernels::rope(pool, b.qkv.floats(), width, tokens, q_heads + kv_heads, d, operands->positions.data(), rope->cos.data(), rope->sin.data());
            auto* pages = static_cast<std::byte*>(b.pages.data());
            const kernels::KvView view{pages, pages + b.pages.bytes() / 2, kv_type, kv_heads, d};
            float* k = b.qkv.floats() + q_heads * d;
            kernels::kv_write(pool, view, &slice, 1, k, width, k + kv_heads * d, width);
          });
          return true;
        default: return false;
      }
    };
    std::set<OpKind> seen;
    for (const Op& op : ops) {
      if (seen.count(op.kind) == 0 && timed(op)) seen.insert(op.kind);
    }
  }
  if (group.limits.kv_offload > Bytes{0}) kv_copy_of(group, shard, layout);
}

// Blocks that no cache holds, as those are that go to host memory or come back.
void ProbeSession::kv_copy_of(const GroupPlan& group, ShardId shard, RankLayout layout) {
  constexpr std::int64_t kBlocks = 64;
  constexpr std::int64_t kCopies = 8;
  const StagePlan& stage = group.stages[static_cast<std::size_t>(shard.stage)];
  const TensorShare& share = stage.ranks[static_cast<std::size_t>(shard.rank)].share;
  if (share.kv_heads.empty()) return;
  struct Operands {
    std::vector<AlignedBuffer> pools, hosts;  // per rank
  };
  const auto operands = std::make_shared<Operands>();
  kernels::KvMemories shape;
  shape.layers = stage.layers.size();
  shape.piece_bytes = static_cast<std::size_t>(share.kv_heads.size() * request_->model.head_dim * kernels::kPageTokens) *
                      static_cast<std::size_t>(bytes_of(group.kv_dtype));
  shape.half_bytes = kBlocks * shape.piece_bytes;
  const std::size_t all = kBlocks * shape.host_block_bytes();
  for (int r = 0; r < layout.active_ranks; ++r) {
    operands->pools.emplace_back(all);
    operands->hosts.emplace_back(all);
  }
  const Bytes bytes{static_cast<double>(kCopies) * static_cast<double>(shape.host_block_bytes())};
  add_task(
      layout,
      [=](int rank, kernels::CpuPool& pool, std::int64_t call) {
        kernels::KvMemories kv = shape;
        kv.pool = static_cast<std::byte*>(operands->pools[static_cast<std::size_t>(rank)].data());
        kv.host = static_cast<std::byte*>(operands->hosts[static_cast<std::size_t>(rank)].data());
        kernels::KvBlockCopy copies[kCopies];
        for (std::int64_t i = 0; i < kCopies; ++i) {
          const auto block = static_cast<std::int32_t>((call * kCopies + i) % kBlocks);
          copies[i] = {static_cast<std::int32_t>(i % 2), block, block};
        }
        kernels::copy_kv_blocks(pool, kv, copies, kCopies);
      },
      [this, layout, bytes](const Timing& t) {
        profile_->stream.push_back({kKvCopyLoad, bytes, layout.threads, layout.active_ranks, t.time, t.spread});
      });
}

void ProbeSession::stream() {
  std::set<std::tuple<RankLayout, std::int64_t, std::int64_t, std::int64_t>> seen;
  for (const GroupPlan& group : request_->groups) {
    const int stages = static_cast<int>(group.stages.size());
    for (int s = 0; s < stages; ++s) {
      const auto ranks = static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
      for (int r = 0; r < ranks; ++r) {
        const TensorShare& share = group.stages[static_cast<std::size_t>(s)].ranks[static_cast<std::size_t>(r)].share;
        for (const RankLayout& layout : layouts_of(group)) {
          if (!seen.insert({layout, share.q_heads.size(), share.ffn.size(), share.experts.size()}).second) continue;
          stream_of(group, {s, r}, layout);
        }
      }
    }
  }
}

}  // namespace lindos::exec
