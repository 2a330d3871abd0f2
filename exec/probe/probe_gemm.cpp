// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>
#include <vector>

#include "exec/model/weight_type.h"
#include "exec/probe/probe_parts.h"
#include "scenarios/shard_shape.h"

namespace lindos::exec {

namespace {

constexpr std::int64_t kRows[] = {1,  2,  3,  4,   5,   6,   7,   8,   10,  12,   14,   16,
                                  20, 24, 28, 32,  48,  64,  96,  128, 192, 256,  384,  512,
                                  768, 1024, 2048};

struct Site {
  Dtype dtype;
  std::int64_t n, k, m_max;
  auto operator<=>(const Site&) const = default;
};

}  // namespace

void ProbeSession::gemm() {
  const Model& model = request_->model;
  std::map<RankLayout, std::set<Site>> sites;
  for (const GroupPlan& group : request_->groups) {
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      bool dense = false;
      for (std::int64_t l = group.stages[s].layers.begin; l < group.stages[s].layers.end; ++l) dense |= !model.is_moe_layer(l);
      int r = 0;
      for (const RankPlan& rank : group.stages[s].ranks) {
        const std::int64_t q = rank.share.q_heads.size() * model.head_dim;
        const std::int64_t kv = rank.share.kv_heads.size() * model.head_dim;
        const ShardShape shape = shard_shape(model, group, {static_cast<int>(s), r++});
        const std::int64_t tokens = group.limits.max_batched_tokens;
        const Dtype d = group.weight_dtype;
        for (const RankLayout& layout : layouts_of(group)) {
          std::set<Site>& set = sites[layout];
          set.insert({d, q + 2 * kv, model.hidden, tokens});
          set.insert({d, model.hidden, q, tokens});
          // Of one expert after the other the rows are as many as chose it, up to all.
          for (const std::int64_t f : {dense ? shape.ffn : 0, shape.expert_ffn, shape.shared_ffn}) {
            set.insert({d, 2 * f, model.hidden, tokens});
            set.insert({d, model.hidden, f, tokens});
          }
          if (s + 1 == group.stages.size()) {
            set.insert({d, rank.share.vocab.size(), model.hidden, std::min<std::int64_t>(group.limits.max_sequences, 64)});
          }
        }
      }
    }
  }
  for (const auto& entry : sites) {
    const RankLayout layout = entry.first;   // clang 14 captures no structured binding
    for (const Site& site : entry.second) {
      if (site.n == 0 || site.k == 0) continue;
      const kernels::WeightType type = weight_type_or_throw(site.dtype, "weight dtype", "probe");
      const std::size_t bytes = kernels::packed_bytes(type, site.n, site.k);
      ColdRegion& region = cold(type);
      region.grow(layout.active_ranks, bytes);
      // Activations are warm in a step: the previous kernel has just written them.
      auto x = std::make_shared<std::vector<AlignedBuffer>>();
      auto y = std::make_shared<std::vector<AlignedBuffer>>();
      for (int r = 0; r < layout.active_ranks; ++r) {
        x->emplace_back(static_cast<std::size_t>(site.m_max * site.k) * sizeof(float));
        y->emplace_back(static_cast<std::size_t>(site.m_max * site.n) * sizeof(float));
        for (std::int64_t i = 0; i < site.m_max * site.k; ++i) {
          x->back().floats()[i] = static_cast<float>(i % 17) * 0.1F - 0.8F;
        }
      }
      for (const std::int64_t m : kRows) {
        if (m > site.m_max) break;
        add_task(
            layout,
            [=, &region, ranks = layout.active_ranks](int rank, kernels::CpuPool& pool, std::int64_t iteration) {
              const auto r = static_cast<std::size_t>(rank);
              const kernels::PackedWeights w{region.at(rank, ranks, iteration, bytes), type, site.n, site.k};
              kernels::gemm(pool, w, (*x)[r].floats(), site.k, m, (*y)[r].floats(), site.n, false);
            },
            [=, this](const Timing& t) {
              profile_->gemm.push_back(
                  {site.dtype, m, site.n, site.k, layout.threads, layout.active_ranks, t.time, t.spread});
            });
      }
    }
  }
}

}  // namespace lindos::exec
