// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <vector>

#include "exec/probe/probe_parts.h"
#include "kernels/sample.h"

namespace lindos::exec {

namespace {

constexpr std::int64_t kRows[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048};

struct Site {
  Dtype dtype;
  std::int64_t n, k, m_max;
  auto operator<=>(const Site&) const = default;
};

// Copies of one packed matrix, enough to be cold on each visit, per rank.
class ColdWeights {
 public:
  ColdWeights(const Site& site, int ranks) : site_(site), size_(kernels::packed_bytes(weight_type(site.dtype), site.n, site.k)) {
    copies_ = static_cast<std::int64_t>(cold_bytes() / static_cast<std::size_t>(ranks) / size_) + 1;
    std::vector<float> source(static_cast<std::size_t>(site.n * site.k));
    for (std::size_t i = 0; i < source.size(); ++i) {
      source[i] = static_cast<float>(kernels::uniform_draw(7, 0, i) - 0.5);
    }
    for (int r = 0; r < ranks; ++r) {
      AlignedBuffer buffer(size_ * static_cast<std::size_t>(copies_));
      auto* first = static_cast<std::byte*>(buffer.data());
      kernels::pack_weights(weight_type(site.dtype), site.n, site.k, 0, site.n, source.data(), first);
      for (std::int64_t c = 1; c < copies_; ++c) std::memcpy(first + size_ * static_cast<std::size_t>(c), first, size_);
      buffers_.push_back(std::move(buffer));
    }
  }
  [[nodiscard]] kernels::PackedWeights at(int rank, std::int64_t iteration) const {
    const auto offset = size_ * static_cast<std::size_t>(iteration % copies_);
    return {static_cast<const std::byte*>(buffers_[static_cast<std::size_t>(rank)].data()) + offset,
            weight_type(site_.dtype), site_.n, site_.k};
  }

 private:
  Site site_;
  std::size_t size_;
  std::int64_t copies_;
  std::vector<AlignedBuffer> buffers_;
};

}  // namespace

void ProbeSession::gemm() {
  const Model& model = request_->model;
  std::map<RankLayout, std::set<Site>> sites;
  for (const GroupPlan& group : request_->groups) {
    for (std::size_t s = 0; s < group.stages.size(); ++s) {
      for (const RankPlan& rank : group.stages[s].ranks) {
        const std::int64_t q = rank.share.q_heads.size() * model.head_dim;
        const std::int64_t kv = rank.share.kv_heads.size() * model.head_dim;
        const std::int64_t f = rank.share.ffn.size();
        const std::int64_t tokens = group.limits.max_batched_tokens;
        const Dtype d = group.weight_dtype;
        for (const RankLayout& layout : layouts_of(group)) {
          std::set<Site>& set = sites[layout];
          set.insert({d, q + 2 * kv, model.hidden, tokens});
          set.insert({d, model.hidden, q, tokens});
          set.insert({d, 2 * f, model.hidden, tokens});
          set.insert({d, model.hidden, f, tokens});
          if (s + 1 == group.stages.size()) {
            set.insert({d, rank.share.vocab.size(), model.hidden, std::min<std::int64_t>(group.limits.max_sequences, 64)});
          }
        }
      }
    }
  }
  std::size_t total = 0;
  for (const auto& [layout, set] : sites) total += set.size();
  std::size_t done = 0;
  for (const auto& [layout, set] : sites) {
    BenchTeam& bench = team(layout);
    for (const Site& site : set) {
      report("matrix products", 0.05 + 0.6 * static_cast<double>(done++) / static_cast<double>(total));
      if (site.n == 0 || site.k == 0) continue;
      const ColdWeights weights(site, layout.active_ranks);
      std::vector<AlignedBuffer> x, y;
      for (int r = 0; r < layout.active_ranks; ++r) {
        x.emplace_back(static_cast<std::size_t>(site.m_max * site.k) * sizeof(float));
        y.emplace_back(static_cast<std::size_t>(site.m_max * site.n) * sizeof(float));
        for (std::int64_t i = 0; i < site.m_max * site.k; ++i) {
          x.back().floats()[i] = static_cast<float>(i % 17) * 0.1F - 0.8F;
        }
      }
      for (const std::int64_t m : kRows) {
        if (m > site.m_max) break;
        const Timing t = bench.time([&](int rank, kernels::CpuPool& pool, std::int64_t iteration) {
          const auto r = static_cast<std::size_t>(rank);
          kernels::gemm(pool, weights.at(rank, iteration), x[r].floats(), site.k, m, y[r].floats(), site.n, false);
        });
        profile_->gemm.push_back({site.dtype, m, site.n, site.k, layout.threads, layout.active_ranks, t.time, t.spread});
      }
    }
  }
}

}  // namespace lindos::exec
