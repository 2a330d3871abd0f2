// SPDX-License-Identifier: Apache-2.0
#include <numeric>
#include <vector>

#include "exec/model/rope_table.h"
#include "exec/probe/probe_parts.h"
#include "kernels/attention.h"
#include "kernels/elementwise.h"
#include "kernels/sample.h"
#include "scenarios/ops.h"

namespace lindos::exec {

namespace {

constexpr std::int64_t kTokens[] = {1, 4, 16, 64, 256};

// Buffers of one rank for the byte-bound kernels at `tokens` rows.
struct StreamBuffers {
  StreamBuffers(const Model& model, const TensorShare& share, std::int64_t tokens)
      : hidden(floats(tokens * model.hidden)),
        normed(floats(tokens * model.hidden)),
        qkv(floats(tokens * (share.q_heads.size() + 2 * share.kv_heads.size()) * model.head_dim)),
        gate_up(floats(tokens * 2 * share.ffn.size())),
        activated(floats(tokens * share.ffn.size())),
        logits(floats(tokens * share.vocab.size())),
        pages(static_cast<std::size_t>(2 * (tokens / kernels::kPageTokens + 1) * share.kv_heads.size() *
                                       model.head_dim * kernels::kPageTokens) *
              sizeof(float)) {
    for (std::size_t i = 0; i < logits.bytes() / sizeof(float); ++i) {
      logits.floats()[i] = static_cast<float>(kernels::uniform_draw(3, 1, i));
    }
  }
  static std::size_t floats(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(float); }
  AlignedBuffer hidden, normed, qkv, gate_up, activated, logits, pages;
};

}  // namespace

void ProbeSession::stream_of(const GroupPlan& group, ShardId shard, RankLayout layout) {
  const Model& model = request_->model;
  const TensorShare& share = group.stages[static_cast<std::size_t>(shard.stage)].ranks[static_cast<std::size_t>(shard.rank)].share;
  const std::int64_t h = model.hidden;
  const std::int64_t d = model.head_dim;
  const std::int64_t q_heads = share.q_heads.size();
  const std::int64_t kv_heads = share.kv_heads.size();
  const std::int64_t width = (q_heads + 2 * kv_heads) * d;
  const std::int64_t f = share.ffn.size();
  const kernels::WeightType kv_type = weight_type(group.kv_dtype);
  const RopeTable rope = make_rope_table(model, 512);
  const std::vector<float> gain(static_cast<std::size_t>(h), 1.0F);
  BenchTeam& bench = team(layout);

  for (const std::int64_t tokens : kTokens) {
    if (tokens > group.limits.max_batched_tokens) continue;
    std::vector<StreamBuffers> buffers;
    buffers.reserve(static_cast<std::size_t>(layout.active_ranks));
    for (int r = 0; r < layout.active_ranks; ++r) buffers.emplace_back(model, share, tokens);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(tokens));
    std::iota(positions.begin(), positions.end(), 0);
    std::vector<std::int32_t> blocks(static_cast<std::size_t>(tokens / kernels::kPageTokens + 1));
    std::iota(blocks.begin(), blocks.end(), 0);
    const kernels::AttentionSlice slice{0, tokens, 0, blocks.data()};

    const auto sample_of = [&](OpKind kind, const Op& op, const BenchTeam::Call& call) {
      const Timing t = bench.time(call);
      profile_->stream.push_back({name_of(kind), op.bytes(), layout.threads, layout.active_ranks, t.time, t.spread});
    };
    const auto timed = [&](const Op& op) {
      switch (op.kind) {
        case OpKind::kNorm:
          sample_of(op.kind, op, [&](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = buffers[static_cast<std::size_t>(rank)];
            kernels::rmsnorm(pool, b.hidden.floats(), h, gain.data(), model.rms_eps, tokens, h, b.normed.floats(), h);
          });
          return true;
        case OpKind::kResidual:
          sample_of(op.kind, op, [&](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = buffers[static_cast<std::size_t>(rank)];
            kernels::residual_add(pool, b.hidden.floats(), h, b.normed.floats(), h, nullptr, tokens, h);
          });
          return true;
        case OpKind::kActivation:
          sample_of(op.kind, op, [&](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = buffers[static_cast<std::size_t>(rank)];
            kernels::swiglu(pool, b.gate_up.floats(), 2 * f, tokens, f, b.activated.floats(), f);
          });
          return true;
        case OpKind::kRopeKvWrite:
          sample_of(op.kind, op, [&](int rank, kernels::CpuPool& pool, std::int64_t) {
            StreamBuffers& b = buffers[static_cast<std::size_t>(rank)];
            kernels::rope(pool, b.qkv.floats(), width, tokens, q_heads + kv_heads, d, positions.data(), rope.cos.data(), rope.sin.data());
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
    for (const Op& op : step_ops(model, group, shard, {{0, tokens, true}})) {
      if (seen.count(op.kind) == 0 && timed(op)) seen.insert(op.kind);
    }
    // Sampling works on one row of logits per sequence, so its rows are sequences, not tokens.
    if (share.vocab.empty() || tokens > 16) continue;
    for (const Op& op : step_ops(model, group, shard, Batch(static_cast<std::size_t>(tokens), Slice{16, 1, true}))) {
      if (op.kind != OpKind::kSample) continue;
      sample_of(op.kind, op, [&](int rank, kernels::CpuPool&, std::int64_t) {
        StreamBuffers& b = buffers[static_cast<std::size_t>(rank)];
        thread_local std::vector<kernels::Candidate> best;
        for (std::int64_t i = 0; i < tokens; ++i) {
          kernels::top_candidates(b.logits.floats() + i * share.vocab.size(), share.vocab.size(), 0, 1, best);
        }
      });
    }
  }
}

void ProbeSession::stream() {
  std::set<std::tuple<RankLayout, std::int64_t, std::int64_t, bool>> seen;
  for (const GroupPlan& group : request_->groups) {
    const int stages = static_cast<int>(group.stages.size());
    for (int s = 0; s < stages; ++s) {
      const auto ranks = static_cast<int>(group.stages[static_cast<std::size_t>(s)].ranks.size());
      for (int r = 0; r < ranks; ++r) {
        const TensorShare& share = group.stages[static_cast<std::size_t>(s)].ranks[static_cast<std::size_t>(r)].share;
        for (const RankLayout& layout : layouts_of(group)) {
          if (!seen.insert({layout, share.q_heads.size(), share.ffn.size(), s + 1 == stages}).second) continue;
          report("elementwise", 0.85);
          stream_of(group, {s, r}, layout);
        }
      }
    }
  }
}

}  // namespace lindos::exec
